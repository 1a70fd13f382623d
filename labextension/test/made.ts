/** Cells, nodes and pushes with little in them, for tests. */
import type { Cell, Delta, Item, Node, Snapshot } from '../src/wire';

export function cell(id: string, more: Partial<Cell> = {}): Cell {
  return {
    id,
    execution: `e-${id}`,
    count: 1,
    name: null,
    line: `${id} = 1`,
    status: 'ok',
    seconds: 0.5,
    saved: 0,
    stale: null,
    unkept: null,
    failed: [],
    source_hash: '',
    ...more
  };
}

export function node(id: string, row: number, more: Partial<Node> = {}): Node {
  return { id, kind: 'variable', label: id, cell: null, row, ...more };
}

export function item(id: string, more: Partial<Item> = {}): Item {
  return { id, name: id, state: 'good', word: 'fine', text: '', details: [], cell: null, ...more };
}

export function snapshot(more: Partial<Snapshot> = {}): Snapshot {
  return { type: 'snapshot', version: 1, seq: 1, session: 's', mlmagic: '0.1.0', running: null, cells: [], ...more };
}

export function delta(seq: number, more: Partial<Delta> = {}): Delta {
  return { type: 'delta', seq, running: null, ...more };
}
