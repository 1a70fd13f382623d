/** Figures as people read them, and the words and glyphs that stand beside each colour. */
import type { ItemState, Node } from './wire';

export function inSeconds(seconds: number): string {
  if (seconds >= 3600) {
    return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  }
  if (seconds >= 100) {
    return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  }
  if (seconds >= 10) {
    return `${Math.round(seconds)} s`;
  }
  if (seconds >= 1) {
    return `${seconds.toFixed(1)} s`;
  }
  return seconds >= 0.001 ? `${Math.round(seconds * 1000)} ms` : '< 1 ms';
}

export function inBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 9.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

export function cut(text: string, letters: number): string {
  return text.length <= letters ? text : `${text.slice(0, Math.max(1, letters - 1))}…`;
}

/** Beside the word that says how an entry of a list stands. */
export const GLYPHS: Readonly<Record<ItemState, string>> = {
  running: '…',
  good: '✓',
  bad: '✗',
  warn: '!',
  past: '–'
};

/** A node of the graph in one line: what its tooltip says, and a screen reader. */
export function describe(node: Node): string {
  const facts = [node.type, node.shape, node.preview, node.seconds == null ? null : inSeconds(node.seconds), node.status];
  return [`${node.kind} ${node.label}`, ...facts.filter(fact => fact)].join(' · ');
}

/** The name that the offset is in or at the end of. */
export function wordAt(source: string, offset: number): string {
  const name = /[\p{L}\p{N}_]*$/u.exec(source.slice(0, offset))![0] + /^[\p{L}\p{N}_]*/u.exec(source.slice(offset))![0];
  return /^[\p{L}_]/u.test(name) ? name : '';
}
