/**
 * Where nodes of the lineage graph are drawn. Pure. A row that exists keeps its line while the graph grows, because rows
 * only grow with time; so nothing that a person looks at moves.
 */
import type { Edge, Node } from './wire';

const PASSING = 20;

export interface Placed {
  readonly node: Node;
  /** Counted from the top, without holes. */
  readonly line: number;
  /** Place among those that share the row. */
  readonly slot: number;
}

export interface Layout {
  readonly lines: readonly (readonly Placed[])[];
  readonly slots: number;
  readonly placed: ReadonlyMap<string, Placed>;
  readonly before: ReadonlyMap<string, readonly string[]>;
  readonly after: ReadonlyMap<string, readonly string[]>;
  /** Those with both ends in the graph, shortest first: the first are the most telling. */
  readonly edges: readonly Edge[];
}

export function layOut(nodes: Iterable<Node>, edges: Iterable<Edge>): Layout {
  const lines = placeAll(nodes);
  const placed = new Map(lines.flat().map(one => [one.node.id, one]));
  const known = [...edges].filter(([from, to]) => placed.has(from) && placed.has(to));
  const reach = ([from, to]: Edge): number => Math.abs(placed.get(from)!.line - placed.get(to)!.line);
  return {
    lines,
    slots: lines.reduce((most, line) => Math.max(most, line.length), 0),
    placed,
    before: neighbours(known.map(([from, to]) => [to, from])),
    after: neighbours(known),
    edges: known.sort((one, other) => reach(one) - reach(other))
  };
}

function placeAll(nodes: Iterable<Node>): Placed[][] {
  const rows = new Map<number, Node[]>();
  for (const node of nodes) {
    const row = rows.get(node.row);
    row ? row.push(node) : rows.set(node.row, [node]);
  }
  const sorted = [...rows.keys()].sort((one, other) => one - other);
  return sorted.map((row, line) => rows.get(row)!.map((node, slot) => ({ node, line, slot })));
}

function neighbours(edges: readonly Edge[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [from, to] of edges) {
    const list = found.get(from);
    list ? list.push(to) : found.set(from, [to]);
  }
  return found;
}

/** All that a node came from, or all that came of it, without itself. */
export function reachable(id: string, next: ReadonlyMap<string, readonly string[]>): Set<string> {
  const seen = new Set<string>();
  const waiting = [id];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    for (const other of next.get(at) ?? []) {
      if (!seen.has(other) && other !== id) {
        seen.add(other);
        waiting.push(other);
      }
    }
  }
  return seen;
}

export interface View {
  readonly nodes: readonly Placed[];
  readonly edges: readonly Edge[];
}

/**
 * What is drawn of lines `first` to `last`: their nodes and at most `most` edges. Those that are `wanted` come first, then
 * those that touch a line, then those that only pass by: of these few, for many make a blur.
 */
export function inView(
  layout: Layout,
  first: number,
  last: number,
  most: number,
  wanted: (edge: Edge) => boolean = () => false
): View {
  const nodes = layout.lines.slice(Math.max(0, first), last + 1).flat();
  const inside = (line: number): boolean => line >= first && line <= last;
  const groups: [wanted: Edge[], touching: Edge[], passing: Edge[]] = [[], [], []];
  for (const edge of layout.edges) {
    const [one, other] = edge.map(id => layout.placed.get(id)!.line);
    const touches = inside(one) || inside(other);
    if (touches || (Math.min(one, other) < first && Math.max(one, other) > last)) {
      groups[wanted(edge) ? 0 : touches ? 1 : 2].push(edge);
    }
  }
  const [chosen, touching, passing] = groups;
  return { nodes, edges: [...chosen, ...touching, ...passing.slice(0, PASSING)].slice(0, most) };
}

/** Nodes whose label, type or kind holds the text, from the top. */
export function search(layout: Layout, text: string): string[] {
  const wanted = text.trim().toLowerCase();
  if (!wanted) {
    return [];
  }
  const holds = ({ node }: Placed): boolean =>
    [node.label, node.type, node.kind].some(part => part?.toLowerCase().includes(wanted));
  return layout.lines.flat().filter(holds).map(one => one.node.id);
}
