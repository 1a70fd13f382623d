/** Sweeps, checks and endpoints: entries with glyph, word and text; details and the picture on demand. */
import { button, el, keyed } from '../dom';
import type { State } from '../model';
import { safeSvg } from '../safe';
import type { Item } from '../wire';
import { GLYPHS } from '../words';
import type { Actions, SectionView } from './section';

const MOST = 100;

export class ListSection implements SectionView {
  readonly node: HTMLElement;

  constructor(
    private readonly _items: (state: State) => readonly Item[] | null,
    private readonly _empty: string,
    private readonly _all: string,
    private readonly _actions: Actions
  ) {
    this._list = el('ul', { class: 'mlmagic-list' });
    this._note = el('p', { class: 'mlmagic-note' });
    this.node = el('div', { class: 'mlmagic-scroll' }, this._list, this._note);
  }

  draw(state: State): void {
    const items = this._items(state);
    if (items === null) {
      return;
    }
    keyed(this._list, items.slice(0, MOST), item => item.id, item => this._entry(item));
    const left = items.length - MOST;
    this._note.textContent = !items.length ? this._empty : left > 0 ? `${left} more: ${this._all} shows all.` : '';
  }

  clear(): void {
    this._list.replaceChildren();
    this._note.textContent = 'Asking the kernel …';
  }

  private _entry(item: Item): HTMLElement {
    const glyph = GLYPHS[item.state];
    const head = el(
      'div',
      { class: 'mlmagic-entry-head' },
      el('span', { class: 'mlmagic-state', 'data-state': item.state }, el('span', { 'aria-hidden': 'true' }, glyph), ` ${item.word}`),
      el('strong', {}, item.name),
      item.cell === null ? null : this._link(item.cell)
    );
    return el('li', { class: 'mlmagic-entry' }, head, el('div', { class: 'mlmagic-entry-text' }, item.text), more(item));
  }

  private _link(cell: string): HTMLElement {
    return button(this._actions.nameOf(cell), 'Go to this cell', () => this._actions.goTo(cell, true), 'mlmagic-link');
  }

  private readonly _list: HTMLElement;
  private readonly _note: HTMLElement;
}

/** Details and picture, drawn when they are first opened. */
function more(item: Item): HTMLElement | null {
  if (!item.details.length && !item.picture) {
    return null;
  }
  const made = el('details', {}, el('summary', {}, 'Details'));
  made.addEventListener('toggle', () => {
    if (made.open && made.childElementCount === 1) {
      made.append(...contents(item));
    }
  });
  return made;
}

function contents(item: Item): HTMLElement[] {
  const lines = item.details.slice(0, MOST).map(line => el('li', {}, line));
  const picture = item.picture ? safeSvg(item.picture) : null;
  return [
    ...(lines.length ? [el('ul', { class: 'mlmagic-details' }, ...lines)] : []),
    ...(picture ? [el('div', { class: 'mlmagic-picture' }, picture)] : [])
  ];
}
