/**
 * What the kernel has told this page so far, folded from snapshots and deltas. Pure: a push comes in, a new state goes
 * out, and whether a push was missed.
 */
import type { Cell, Delta, Edge, Item, Node, Push, Reuse, Snapshot } from './wire';

/** Null stands for a section that was not asked for. */
export interface State {
  readonly version: number;
  readonly mlmagic: string;
  readonly session: string;
  readonly seq: number;
  readonly running: string | null;
  readonly cells: ReadonlyMap<string, Cell>;
  readonly nodes: ReadonlyMap<string, Node> | null;
  readonly edges: ReadonlyMap<string, Edge>;
  readonly more: number;
  readonly reuse: Reuse | null;
  readonly sweeps: readonly Item[] | null;
  readonly checks: readonly Item[] | null;
  readonly endpoints: readonly Item[] | null;
}

export interface Folded {
  readonly state: State | null;
  /** A push is missing between the state and the one that came: only a snapshot helps. */
  readonly gap: boolean;
}

/** The state after a push. A delta that is already contained changes nothing; one too far ahead is a gap. */
export function fold(state: State | null, push: Push): Folded {
  if (push.type === 'snapshot') {
    return { state: fromSnapshot(push), gap: false };
  }
  if (state === null || push.seq <= state.seq) {
    return { state, gap: false };
  }
  if (push.seq !== state.seq + 1) {
    return { state, gap: true };
  }
  return { state: withDelta(state, push), gap: false };
}

function fromSnapshot(push: Snapshot): State {
  return {
    version: push.version,
    mlmagic: push.mlmagic,
    session: push.session,
    seq: push.seq,
    running: push.running,
    cells: byId(push.cells),
    nodes: push.nodes ? byId(push.nodes) : null,
    edges: new Map((push.edges ?? []).map(edge => [nameOf(edge), edge])),
    more: push.more ?? 0,
    reuse: push.reuse ?? null,
    sweeps: push.sweeps ?? null,
    checks: push.checks ?? null,
    endpoints: push.endpoints ?? null
  };
}

function withDelta(state: State, push: Delta): State {
  return {
    ...state,
    seq: push.seq,
    running: push.running,
    cells: push.cells ? byId(push.cells, state.cells) : state.cells,
    // Without the snapshot's nodes, a delta's are a part that looks like a whole.
    nodes: state.nodes && changedNodes(state.nodes, push),
    edges: state.nodes ? changedEdges(state.edges, push) : state.edges,
    more: push.more ?? state.more,
    reuse: push.reuse ?? state.reuse,
    sweeps: push.sweeps ?? state.sweeps,
    checks: push.checks ?? state.checks,
    endpoints: push.endpoints ?? state.endpoints
  };
}

function changedNodes(nodes: ReadonlyMap<string, Node>, push: Delta): ReadonlyMap<string, Node> {
  if (!push.nodes && !push.gone) {
    return nodes;
  }
  const changed = byId(push.nodes ?? [], nodes);
  push.gone?.forEach(id => changed.delete(id));
  return changed;
}

function changedEdges(edges: ReadonlyMap<string, Edge>, push: Delta): ReadonlyMap<string, Edge> {
  if (!push.edges && !push.cut && !push.gone) {
    return edges;
  }
  const changed = new Map(edges);
  push.cut?.forEach(edge => changed.delete(nameOf(edge)));
  push.edges?.forEach(edge => changed.set(nameOf(edge), edge));
  const gone = new Set(push.gone);
  if (gone.size) {
    for (const [name, [from, to]] of changed) {
      if (gone.has(from) || gone.has(to)) {
        changed.delete(name);
      }
    }
  }
  return changed;
}

function byId<T extends { id: string }>(items: readonly T[], before?: ReadonlyMap<string, T>): Map<string, T> {
  const all = new Map(before);
  items.forEach(item => all.set(item.id, item));
  return all;
}

function nameOf([from, to]: Edge): string {
  return `${from}\n${to}`;
}

/** The ids of the stale cells. */
export function staleCells(state: State | null): Set<string> {
  const stale = [...(state?.cells.values() ?? [])].filter(cell => cell.stale !== null);
  return new Set(stale.map(cell => cell.id));
}
