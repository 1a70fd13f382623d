/** The mark of one cell: from its last run and its present text to glyph, word and explanation. Pure. */
import type { Cell } from './wire';
import { inSeconds } from './words';

export type MarkKind = 'running' | 'failed' | 'error' | 'edited' | 'stale' | 'unkept' | 'reused' | 'ran';

export interface Mark {
  readonly kind: MarkKind;
  readonly glyph: string;
  /** Shown beneath the prompt; empty where all is as expected. */
  readonly word: string;
  /** The whole story, for the tooltip and for screen readers. */
  readonly text: string;
}

/** The mark of a cell, or null for one that this kernel has not run. What matters most gives the glyph; the text tells all. */
export function markOf(cell: Cell | undefined, running: boolean, edited: boolean): Mark | null {
  if (running || cell?.status === 'running') {
    return { kind: 'running', glyph: '…', word: 'running', text: 'Running.' };
  }
  if (!cell) {
    return null;
  }
  const kind = kindOf(cell, edited);
  return { kind, glyph: GLYPHS[kind], word: wordOf(kind, cell), text: story(cell, edited) };
}

const GLYPHS: Readonly<Record<MarkKind, string>> = {
  running: '…',
  failed: '✗',
  error: '✗',
  edited: '!',
  stale: '!',
  unkept: '–',
  reused: '↻',
  ran: '✓'
};

function kindOf(cell: Cell, edited: boolean): MarkKind {
  if (cell.failed.length) {
    return 'failed';
  }
  if (cell.status === 'error' || cell.status === 'interrupted') {
    return 'error';
  }
  if (edited) {
    return 'edited';
  }
  if (cell.stale !== null) {
    return 'stale';
  }
  if (cell.status === 'reused') {
    return 'reused';
  }
  return cell.unkept !== null ? 'unkept' : 'ran';
}

function wordOf(kind: MarkKind, cell: Cell): string {
  switch (kind) {
    case 'failed':
      return 'check failed';
    case 'error':
      return cell.status === 'interrupted' ? 'interrupted' : 'error';
    case 'edited':
      return 'edited';
    case 'stale':
      return 'stale';
    case 'unkept':
      return 'not reusable';
    case 'reused':
      return `saved ${inSeconds(cell.saved)}`;
    default:
      return '';
  }
}

function story(cell: Cell, edited: boolean): string {
  const told = [outcome(cell)];
  if (cell.failed.length) {
    told.push(`Check failed: ${cell.failed.join(', ')}.`);
  }
  if (edited) {
    told.push('Edited since it ran.');
  }
  if (cell.stale !== null) {
    told.push(`Stale: ${sentence(cell.stale)}`);
  }
  if (cell.unkept !== null) {
    told.push(`Not reusable: ${sentence(cell.unkept)}`);
  }
  return told.join(' ');
}

function outcome(cell: Cell): string {
  switch (cell.status) {
    case 'reused':
      return `Reused, saved ${inSeconds(cell.saved)}.`;
    case 'error':
      return `Raised an error after ${inSeconds(cell.seconds)}.`;
    case 'interrupted':
      return `Interrupted after ${inSeconds(cell.seconds)}.`;
    default:
      return `Ran in ${inSeconds(cell.seconds)}.`;
  }
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Whether the text is another than the one that ran: compared with the text itself, else with its checksum. */
export function wasEdited(cell: Cell | undefined, text: string, ran: string | undefined): boolean {
  if (!cell) {
    return false;
  }
  if (typeof cell.typed === 'number') {
    return cell.typed !== crc32(text);
  }
  return ran !== undefined && ran !== text;
}

/** CRC-32 of the text's UTF-8, as `zlib.crc32` computes it: also where the browser's own digests are withheld. */
export function crc32(text: string): number {
  let rest = -1;
  for (const byte of new TextEncoder().encode(text)) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit += 1) {
      rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
    }
  }
  return ~rest >>> 0;
}
