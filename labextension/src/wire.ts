/**
 * What travels between kernel and page; `mlmagic/panel/wire.py` says the same in Python, and which comm is for what.
 */

export const VERSION = 1;
export const PANEL = 'mlmagic.panel';
export const COMMANDS = 'mlmagic.commands';
export const HELLO = 'mlmagic.hello';

export const SECTIONS = ['lineage', 'reuse', 'sweeps', 'checks', 'endpoints'] as const;
export type Section = (typeof SECTIONS)[number];

/** What the page says of itself; the kernel answers with a snapshot. */
export interface Showing {
  type: 'showing';
  sections: Section[];
}

/** In which order the notebook's cells stand. */
export interface Order {
  type: 'order';
  cells: string[];
}

/** The last run of one cell: what its mark tells. */
export interface Cell {
  id: string;
  execution: string;
  count: number | null;
  name: string | null;
  line: string;
  status: 'ok' | 'error' | 'interrupted' | 'reused' | 'running';
  seconds: number;
  saved: number;
  stale: string | null;
  unkept: string | null;
  failed: string[];
  source_hash: string;
  /**
   * CRC-32 of the text as it was sent: a page that did not see it run can tell that its own text is another. Null where
   * the store has the text without its secrets.
   */
  typed?: number | null;
}

/** A cell, or the latest version of a variable or file, in the graph. */
export interface Node {
  id: string;
  kind: 'cell' | 'variable' | 'file' | 'model' | 'random' | 'module';
  label: string;
  cell: string | null;
  /** Grows with time and never changes: the graph is stable while it grows. */
  row: number;
  type?: string | null;
  shape?: string | null;
  seconds?: number | null;
  status?: string | null;
  preview?: string | null;
}

/** From what was read to who read it; from a cell to what it wrote. */
export type Edge = [string, string];

export interface LedgerRow {
  id: string;
  count: number | null;
  line: string;
  decision: string;
  why: string | null;
  seconds: number;
  saved: number;
  nbytes: number | null;
}

/** The ledger. */
export interface Reuse {
  mode: string;
  saved: number;
  computed: number;
  stored: number;
  budget: number;
  cells: LedgerRow[];
}

export type ItemState = 'running' | 'good' | 'bad' | 'warn' | 'past';

/** A sweep, a check or an endpoint in its list; its picture is SVG. */
export interface Item {
  id: string;
  name: string;
  state: ItemState;
  word: string;
  text: string;
  details: string[];
  cell: string | null;
  picture?: string | null;
}

/** What only sections that are shown get. */
export interface Sections {
  nodes?: Node[];
  edges?: Edge[];
  reuse?: Reuse;
  sweeps?: Item[];
  checks?: Item[];
  endpoints?: Item[];
}

/** Everything that the page shows. */
export interface Snapshot extends Sections {
  type: 'snapshot';
  version: number;
  seq: number;
  session: string;
  mlmagic: string;
  running: string | null;
  cells: Cell[];
  /** Nodes left out: the oldest. */
  more?: number;
}

/** What changed: cells and nodes by id, edges that are new or no more, and whole lists of the rest. */
export interface Delta extends Sections {
  type: 'delta';
  seq: number;
  running: string | null;
  cells?: Cell[];
  /** Edges that are no more, although both ends are. */
  cut?: Edge[];
  more?: number;
  /** Ids of nodes. */
  gone?: string[];
}

export type Push = Snapshot | Delta;

export type CommandName = 'lineage' | 'explain' | 'slice' | 'cancel' | 'doctor';

/** `lineage` and `slice` take a target; `explain` a cell; the others nothing. */
export interface Request {
  id: string;
  command: CommandName;
  target?: string;
  cell?: string;
}

/** `text` is what the magic of the same name would say; `error` is one line. */
export interface Reply {
  id: string;
  text?: string;
  html?: string;
  error?: string;
}
