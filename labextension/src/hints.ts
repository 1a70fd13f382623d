/** Shows the hint for a notebook, and finds out what it depends on. */
import { Clipboard } from '@jupyterlab/apputils';

import type { Channel } from './channel';
import { button, el } from './dom';
import { type Hint, hintFor } from './hint';
import { type Found, probe } from './probe';

export class Hints {
  readonly node = el('div', { class: 'mlmagic-hint', role: 'note', hidden: true });

  constructor(private readonly _onFound: () => void) {}

  /** Draw for this notebook; `fresh` asks again where mlmagic was missing, for it may have been installed since. */
  draw(channel: Channel | null, fresh: boolean): void {
    const hint = channel && hintFor(channel.standing, this._found(channel, fresh), channel.state?.mlmagic);
    const text = hint?.text ?? '';
    if (text + (hint?.copy ?? '') !== this._shown) {
      this._shown = text + (hint?.copy ?? '');
      this.node.replaceChildren(...(hint ? parts(hint) : []));
    }
    this.node.hidden = !hint;
  }

  private _found(channel: Channel, fresh: boolean): Found | null {
    const { kernel } = channel;
    if (channel.standing !== 'absent' || !kernel) {
      this._known.delete(channel);
      return null;
    }
    const known = this._known.get(channel);
    if (known === undefined || (fresh && known?.installed === false)) {
      this._known.set(channel, known ?? null);
      void probe(kernel)
        .catch(() => null) // the kernel went away: its next standing asks again
        .then(found => this._onAnswer(channel, found));
    }
    return known ?? null;
  }

  private _onAnswer(channel: Channel, found: Found | null): void {
    if (found && this._known.has(channel)) {
      this._known.set(channel, found);
      this._onFound();
    }
  }

  private _shown = '';
  /** Null while the kernel is being asked. */
  private readonly _known = new WeakMap<Channel, Found | null>();
}

function parts(hint: Hint): HTMLElement[] {
  const { copy } = hint;
  if (copy === undefined) {
    return [el('p', {}, hint.text)];
  }
  const act = button('Copy', `Copy this line, to run it ${hint.where ?? ''}`.trim(), () => {
    Clipboard.copyToSystem(copy);
    act.textContent = 'Copied';
  });
  return [el('p', {}, hint.text), el('div', { class: 'mlmagic-copy' }, el('code', { tabindex: 0 }, copy), act)];
}
