/** The panel in the right side bar: follows the current notebook, and shows one section of what is known of it. */
import { PathExt } from '@jupyterlab/coreutils';
import { Widget } from '@lumino/widgets';

import { Answer } from './answer';
import type { Book, IBooks } from './books';
import type { Standing } from './channel';
import { button, el, say } from './dom';
import { Hints } from './hints';
import { LineageSection } from './sections/lineage';
import { ListSection } from './sections/lists';
import { ReuseSection } from './sections/reuse';
import type { Actions, SectionView } from './sections/section';
import { tabId, Tabs } from './tabs';
import type { CommandName, Reply, Request, Section } from './wire';
import { plural } from './words';

const STANDINGS: Readonly<Record<Exclude<Standing, 'live'>, string>> = {
  none: 'this notebook has no kernel.',
  gone: 'the kernel died. What it knew comes back as cells run in a new one.',
  foreign: 'its kernel is not Python, so mlmagic has nothing to follow.',
  shared: 'another notebook follows this kernel.',
  waiting: 'waiting for the kernel.',
  absent: 'mlmagic is not loaded in this kernel.',
  other: 'kernel and panel differ in version.'
};

export class Panel extends Widget {
  constructor(
    private readonly _books: IBooks,
    private readonly _goTo: (book: Book, cell: string, focus: boolean) => boolean
  ) {
    super();
    this.id = 'mlmagic-panel';
    this.addClass('mlmagic-panel');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'mlmagic');
    this._host.append(...Object.values(this._views).map(view => view.node));
    const head = el('div', { class: 'mlmagic-head' }, this._status, this._cancel);
    this.node.append(head, this._hints.node, this._tabs.node, this._host, this._answer.node);
    _books.moved.connect(() => this._follow());
    _books.changed.connect((_, book) => this._onChanged(book));
    this._follow();
  }

  /** Show this section. */
  choose(section: Section): void {
    this._tabs.choose(section);
  }

  /** Ask the current notebook's kernel, and show question and answer here. */
  ask(title: string, command: CommandName, rest: Pick<Request, 'target' | 'cell'> = {}): Promise<Reply> {
    const channel = this._books.current?.channel;
    const reply = channel?.ask(command, rest) ?? Promise.resolve({ id: '', error: 'no notebook is open' });
    return this._answer.wait(title, reply);
  }

  protected override onAfterShow(): void {
    this._follow(true);
  }

  protected override onAfterHide(): void {
    this._follow();
  }

  /** The current notebook's kernel sends what is in sight, the others' nothing but marks. */
  private _follow(fresh = false): void {
    const current = this._books.current?.channel;
    for (const { channel } of this._books.all) {
      channel.show(this.isVisible && channel === current ? [this._tabs.chosen] : []);
    }
    this._draw(fresh);
  }

  private _onChanged(book: Book): void {
    if (book.channel === this._books.current?.channel) {
      this._draw(false);
    }
  }

  private _draw(fresh: boolean): void {
    if (!this.isVisible) {
      return;
    }
    const book = this._books.current;
    const state = book?.channel.standing === 'live' ? book.channel.state : null;
    say(this._status, statusOf(book));
    this._hints.draw(book?.channel ?? null, fresh);
    this._cancel.hidden = !state?.running;
    this._host.hidden = state === null;
    for (const [section, view] of Object.entries(this._views)) {
      view.node.hidden = section !== this._tabs.chosen;
    }
    this._host.setAttribute('aria-labelledby', tabId(this._tabs.chosen));
    if (state) {
      this._turnTo(state.session);
      this._views[this._tabs.chosen].draw(state);
    }
  }

  /** Nothing of one session is shown for another. */
  private _turnTo(session: string): void {
    if (session !== this._session) {
      this._session = session;
      this._answer.hide();
      Object.values(this._views).forEach(view => view.clear());
    }
  }

  private _session = '';
  private readonly _actions: Actions = {
    goTo: (cell, focus) => {
      const book = this._books.current;
      if (book && !this._goTo(book, cell, focus)) {
        say(this._status, `${statusOf(book)} This cell is no longer in the notebook.`);
      }
    },
    explain: cell => void this.ask(`Why: cell ${this._actions.nameOf(cell)}`, 'explain', { cell }),
    nameOf: cell => {
      const known = this._books.current?.channel.state?.cells.get(cell);
      return known?.name ?? (known?.count == null ? 'cell' : `[${known.count}]`);
    }
  };

  private readonly _views: Readonly<Record<Section, SectionView>> = {
    lineage: new LineageSection(this._actions),
    reuse: new ReuseSection(this._actions),
    sweeps: new ListSection(s => s.sweeps, 'No sweep yet: %%sweep makes one.', '%sweeps', this._actions),
    checks: new ListSection(s => s.checks, 'No check yet: %%assertion, %drift and %gate make some.', '%assertions', this._actions),
    endpoints: new ListSection(s => s.endpoints, 'No endpoint yet: %serve starts one.', '%endpoints', this._actions)
  };
  private readonly _status = el('p', { role: 'status', class: 'mlmagic-status' });
  private readonly _cancel = button('Cancel', 'Interrupt the running cell', () => void this.ask('Cancel', 'cancel'));
  private readonly _tabs = new Tabs(() => this._follow());
  private readonly _hints = new Hints(() => this._draw(false));
  private readonly _host = el('div', { id: 'mlmagic-section', role: 'tabpanel', class: 'mlmagic-section' });
  private readonly _answer = new Answer(() => this._tabs.tab);
}

function statusOf(book: Book | null): string {
  if (!book) {
    return 'No notebook is open.';
  }
  const { standing, state } = book.channel;
  const name = PathExt.basename(book.panel.context.path);
  if (standing !== 'live' || !state) {
    return `${name}: ${STANDINGS[standing === 'live' ? 'waiting' : standing]}`;
  }
  const running = state.running === null ? '' : ', one is running';
  return `${name}: ${plural(state.cells.size, 'cell')} tracked${running}.`;
}
