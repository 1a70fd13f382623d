/** The ledger of reuse: what was saved, what it takes on disk, and for each cell what was decided and why. */
import { button, el, keyed } from '../dom';
import type { State } from '../model';
import type { LedgerRow, Reuse } from '../wire';
import { inBytes, inSeconds, plural } from '../words';
import type { Actions, SectionView } from './section';

const MOST = 200;
const COLUMNS = ['Cell', 'Decision', 'Ran for', 'Saved', ''];

export class ReuseSection implements SectionView {
  readonly node: HTMLElement;

  constructor(private readonly _actions: Actions) {
    const headings = COLUMNS.map(name =>
      name ? el('th', { scope: 'col' }, name) : el('th', { scope: 'col', 'aria-label': 'Explanation' })
    );
    this._table = el('table', {}, el('caption', {}, 'Newest first'), el('thead', {}, el('tr', {}, ...headings)), this._rows);
    this.node = el('div', { class: 'mlmagic-scroll' }, this._totals, this._table, this._note);
  }

  draw(state: State): void {
    const ledger = state.reuse;
    if (ledger === null) {
      return;
    }
    const rows = [...ledger.cells].reverse();
    this._totals.replaceChildren(...totals(ledger));
    this._table.hidden = !rows.length;
    keyed(this._rows, rows.slice(0, MOST), row => row.id, row => this._row(row));
    const left = rows.length - MOST;
    this._note.textContent = !rows.length
      ? 'No cell was asked to be reused yet: begin one with %%track, or say %reuse on.'
      : left > 0
        ? `${plural(left, 'older cell')} not shown: %reuse status shows all.`
        : '';
  }

  clear(): void {
    this._totals.replaceChildren();
    this._rows.replaceChildren();
    this._table.hidden = true;
    this._note.textContent = 'Asking the kernel …';
  }

  private _row(row: LedgerRow): HTMLElement {
    const name = row.count === null ? '[ ]' : `[${row.count}]`;
    const go = button(name, 'Go to this cell', () => this._actions.goTo(row.id, true), 'mlmagic-link');
    const why = button('why?', `Why was cell ${name} ${row.decision}?`, () => this._actions.explain(row.id));
    return el(
      'tr',
      {},
      el('td', {}, go, ' ', el('code', { title: row.line }, row.line)),
      el('td', { class: 'mlmagic-decision', title: row.why }, row.decision),
      el('td', { class: 'mlmagic-figure' }, inSeconds(row.seconds)),
      el('td', { class: 'mlmagic-figure', title: row.nbytes ? `${inBytes(row.nbytes)} kept` : null }, saved(row)),
      el('td', {}, why)
    );
  }

  private readonly _totals = el('dl', { class: 'mlmagic-totals' });
  private readonly _rows = el('tbody');
  private readonly _note = el('p', { class: 'mlmagic-note' });
  private readonly _table: HTMLTableElement;
}

function saved(row: LedgerRow): string {
  return row.saved > 0 ? inSeconds(row.saved) : '–';
}

function totals(ledger: Reuse): HTMLElement[] {
  const disk = `${inBytes(ledger.stored)} of ${inBytes(ledger.budget)}`;
  const pairs = [
    ['Reuse', ledger.mode],
    ['Saved', inSeconds(ledger.saved)],
    ['Computed', inSeconds(ledger.computed)],
    ['Kept on disk', disk]
  ];
  const made = pairs.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value)));
  const share = el('meter', { min: 0, max: ledger.budget, value: ledger.stored, 'aria-label': `Kept on disk: ${disk}` });
  made[3].append(share);
  return made;
}
