/** The kernel's last answer to a question, beneath the section that is shown. */
import { button, el, remember } from './dom';
import { safeHtml } from './safe';
import type { Reply } from './wire';

export class Answer {
  readonly node = el('section', { class: 'mlmagic-answer', 'aria-labelledby': 'mlmagic-answer-title', hidden: true });

  /** Where the focus goes when what asked is no more: `home` says. */
  constructor(private readonly _home: () => HTMLElement) {
    this._back = _home;
    const close = button('×', 'Close the answer', () => this.close(), 'mlmagic-close');
    close.setAttribute('aria-label', 'Close the answer');
    this.node.append(el('div', { class: 'mlmagic-answer-head' }, this._title, close), this._body);
    this.node.addEventListener('keydown', event => {
      if (event.key === 'Escape') {
        this.close();
        event.stopPropagation();
      }
    });
  }

  /** Show that a question is asked, then its answer; of two questions the later one stays. */
  async wait(title: string, reply: Promise<Reply>): Promise<Reply> {
    const turn = (this._turn += 1);
    this._back = document.activeElement instanceof HTMLElement ? remember(document.activeElement) : this._home;
    this._open(title, el('p', { class: 'mlmagic-quiet' }, 'Asking the kernel …'));
    const told = await reply;
    if (turn === this._turn) {
      this._open(title, bodyOf(told));
      this._title.focus({ preventScroll: true });
    }
    return told;
  }

  close(): void {
    this.hide();
    (this._back() ?? this._home()).focus();
  }

  /** Close it where nobody asked for that: the focus stays where it is. */
  hide(): void {
    this._turn += 1;
    this.node.hidden = true;
    this._body.replaceChildren();
  }

  private _open(title: string, content: Node): void {
    this._title.textContent = title;
    this._body.replaceChildren(content);
    this.node.hidden = false;
  }

  private _turn = 0;
  private _back: () => HTMLElement | null;
  private readonly _title = el('h3', { id: 'mlmagic-answer-title', tabindex: -1 });
  private readonly _body = el('div', { class: 'mlmagic-answer-body', 'aria-live': 'polite' });
}

function bodyOf(reply: Reply): Node {
  if (reply.error !== undefined) {
    return el('p', { class: 'mlmagic-error', role: 'alert' }, el('span', { 'aria-hidden': 'true' }, '✗ '), reply.error);
  }
  if (reply.html) {
    return el('div', { class: 'mlmagic-html' }, safeHtml(reply.html));
  }
  return el('pre', { tabindex: 0 }, reply.text ?? 'Done.');
}
