/** One view of the lineage graph as SVG: from placed nodes and edges to elements. It knows no scrolling and no events. */
import { svg } from '../dom';
import type { Layout, Placed } from '../layout';
import type { Edge, Node } from '../wire';
import { cut, describe } from '../words';

export const LINE = 24;
const GUTTER = 46;
const INDENT = 16;
const SLOT = 150;
const LETTER = 6.6;

/** What a person has picked out. */
export interface Picked {
  readonly selected: string | null;
  readonly up: ReadonlySet<string>;
  readonly down: ReadonlySet<string>;
  readonly found: ReadonlySet<string>;
}

export function widthOf(slots: number, room: number): number {
  return slots > 1 ? Math.max(room, GUTTER + INDENT + slots * SLOT) : room;
}

/** Whether an edge belongs to the way that leads to or from the selected node. */
export function onWay([from, to]: Edge, picked: Picked): 'up' | 'down' | null {
  const { selected, up, down } = picked;
  if (up.has(from) && (up.has(to) || to === selected)) {
    return 'up';
  }
  return down.has(to) && (down.has(from) || from === selected) ? 'down' : null;
}

/** A node that is `alone` in its line has it to its end, and room for facts. */
export function drawNode(placed: Placed, wide: number, alone: boolean, picked: Picked): SVGGElement {
  const { node, slot } = placed;
  const [x, y] = [xOf(node, slot), yOf(placed)];
  const way = picked.up.has(node.id) ? 'up' : picked.down.has(node.id) ? 'down' : null;
  const room = (alone ? wide - x - 14 : SLOT - 20) / LETTER;
  const facts = alone ? [node.type, node.shape].filter(Boolean).join(' ') : '';
  const label = cut(node.label, Math.max(6, facts ? room * 0.6 : room));
  const left = room - label.length - 3;
  return svg(
    'g',
    {
      id: idOf(node.id),
      class: `mlmagic-node mlmagic-kind-${node.kind}`,
      role: 'option',
      'aria-selected': String(node.id === picked.selected),
      'aria-label': (way === 'up' ? 'upstream, ' : way === 'down' ? 'downstream, ' : '') + describe(node),
      'data-node': node.id,
      'data-way': way,
      'data-found': picked.found.has(node.id) || null
    },
    svg('title', {}, describe(node)),
    svg('rect', { class: 'mlmagic-back', x: x - 11, y: y - LINE / 2 + 1, width: alone ? wide - x + 7 : SLOT - 4, height: LINE - 2, rx: 3 }),
    shape(node, x, y),
    svg('text', { x: x + 13, y: y + 4 }, (way === 'up' ? '↑ ' : way === 'down' ? '↓ ' : '') + label),
    facts && left > 4 ? svg('text', { class: 'mlmagic-facts', x: wide - 8, y: y + 4, 'text-anchor': 'end' }, cut(facts, left)) : null
  );
}

/** Lines from which on an edge is faint until it is asked for: of a long notebook, most would cross the whole graph. */
const FAR = 6;

export function drawEdge(edge: Edge, layout: Layout, picked: Picked): SVGPathElement {
  const [from, to] = edge.map(id => layout.placed.get(id)!);
  return svg('path', {
    class: 'mlmagic-edge',
    d: from.slot || to.slot ? between(from, to) : aside(from, to),
    'data-way': onWay(edge, picked),
    'data-far': Math.abs(from.line - to.line) > FAR ? '' : null,
    'marker-end': 'url(#mlmagic-arrow)'
  });
}

/** An arc in the gutter; it depends on its ends' places alone, so it stays while the graph grows. */
function aside(from: Placed, to: Placed): string {
  const [y1, y2] = [from, to].map(yOf);
  const [x1, x2] = [from, to].map(one => xOf(one.node, one.slot) - 9);
  const bend = Math.min(GUTTER - 12, 8 + 5 * Math.sqrt(Math.abs(from.line - to.line)));
  const far = Math.max(2, Math.min(x1, x2) - bend);
  return `M${x1} ${y1}C${far} ${y1} ${far} ${y2} ${x2} ${y2}`;
}

/** From line to line, where one end has others to its left that an arc would strike through. */
function between(from: Placed, to: Placed): string {
  const step = Math.sign(to.line - from.line) * 8;
  const [x1, x2] = [from, to].map(one => xOf(one.node, one.slot));
  const [y1, y2] = [yOf(from) + step, yOf(to) - step];
  const middle = (y1 + y2) / 2;
  return `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`;
}

export function arrow(): SVGDefsElement {
  const tip = svg('path', { d: 'M0 0L6 3L0 6z', class: 'mlmagic-tip' });
  const size = { viewBox: '0 0 6 6', refX: 5, refY: 3, markerWidth: 6, markerHeight: 6, markerUnits: 'userSpaceOnUse' };
  return svg('defs', {}, svg('marker', { ...size, id: 'mlmagic-arrow', orient: 'auto' }, tip));
}

export function idOf(node: string): string {
  return `mlmagic-node-${encodeURIComponent(node)}`;
}

function yOf({ line }: Placed): number {
  return line * LINE + LINE / 2;
}

function xOf(node: Node, slot: number): number {
  return GUTTER + (node.kind === 'cell' ? 0 : INDENT) + slot * SLOT;
}

/** Kinds differ in shape, not in colour alone. */
function shape(node: Node, x: number, y: number): SVGElement {
  const path = SHAPES[node.kind];
  return svg('path', { class: 'mlmagic-shape', transform: `translate(${x} ${y})`, d: path });
}

const SHAPES: Readonly<Record<Node['kind'], string>> = {
  cell: 'M-8 -6h16v12h-16z',
  variable: 'M5 0A5 5 0 1 1 -5 0A5 5 0 1 1 5 0z',
  file: 'M-4.5 -6h6l3 3v9h-9z M1.5 -6v3h3',
  model: 'M0 -6.5L6.5 0L0 6.5L-6.5 0z',
  random: 'M-5 -5h10v10h-10z M-2 -2h.1 M2 2h.1 M2 -2h.1 M-2 2h.1',
  module: 'M-3 -5.5h6l3.5 5.5l-3.5 5.5h-6l-3.5 -5.5z'
};
