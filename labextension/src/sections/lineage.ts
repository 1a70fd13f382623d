/**
 * The lineage graph, as a list of lines with arcs beside them. Only what is in view is drawn; scrolling, selecting,
 * searching and the keyboard are here.
 */
import { el, say, svg } from '../dom';
import { inView, type Layout, layOut, type Placed, reachable, search } from '../layout';
import type { State } from '../model';
import type { Edge, Node } from '../wire';
import { describe, plural } from '../words';
import { arrow, drawEdge, drawNode, idOf, LINE, onWay, type Picked, widthOf } from './graph';
import type { Actions, SectionView } from './section';

const MOST_EDGES = 200;
const NONE: ReadonlySet<string> = new Set();
const EMPTY = 'Nothing was tracked yet: run a cell.';

export class LineageSection implements SectionView {
  readonly node: HTMLElement;

  constructor(private readonly _actions: Actions) {
    this._port.append(this._canvas);
    this.node = el('div', { class: 'mlmagic-lineage' }, this._bar(), this._port, this._about);
    this._port.addEventListener('scroll', () => this._soon());
    this._port.addEventListener('keydown', event => this._onKey(event));
    this._canvas.addEventListener('click', event => this._onClick(event));
    this._canvas.addEventListener('pointerover', event => this._tell(nodeAt(event)));
    this._canvas.addEventListener('pointerleave', () => this._tell(null));
    new ResizeObserver(() => this._soon()).observe(this._port);
  }

  draw(state: State): void {
    if (state.nodes === null) {
      return; // the snapshot that has them is under way
    }
    if (state.nodes !== this._nodes || state.edges !== this._edges) {
      this._lay(state);
    }
    this._more = state.more;
    this._tell(null);
    this._soon();
  }

  clear(): void {
    this._nodes = this._edges = null;
    this._layout = layOut([], []);
    this._selected = null;
    this._pick();
    say(this._about, 'Asking the kernel …');
    this._soon();
  }

  /** Keep what is at the top of the view there, also where older lines went. */
  private _lay(state: State): void {
    const [nodes, edges] = [(this._nodes = state.nodes!), (this._edges = state.edges)];
    const top = this._layout.lines[Math.floor(this._port.scrollTop / LINE)]?.[0];
    this._layout = layOut(nodes.values(), edges.values());
    const now = top && this._layout.placed.get(top.node.id);
    this._canvas.style.height = `${this._layout.lines.length * LINE}px`;
    if (now && now.line !== top.line) {
      this._port.scrollTop += (now.line - top.line) * LINE;
    }
    if (this._selected !== null && !this._layout.placed.has(this._selected)) {
      this._selected = null;
    }
    this._pick();
  }

  private _pick(): void {
    const { before, after } = this._layout;
    const chosen = this._selected;
    const found = search(this._layout, this._box.value);
    this._picked = {
      selected: chosen,
      up: chosen === null ? NONE : reachable(chosen, before),
      down: chosen === null ? NONE : reachable(chosen, after),
      found: new Set(found)
    };
    say(this._count, this._box.value.trim() ? `${found.length} found` : '');
  }

  private _bar(): HTMLElement {
    this._box.addEventListener('input', () => this._onSearch());
    this._box.addEventListener('keydown', event => {
      if (event.key === 'Enter') {
        this._next(event.shiftKey ? -1 : 1);
      } else if (event.key === 'Escape') {
        this._box.value = '';
        this._onSearch();
      }
    });
    return el('div', { class: 'mlmagic-bar' }, this._box, this._count);
  }

  private _onSearch(): void {
    this._pick();
    const [first] = this._picked.found;
    if (first !== undefined) {
      this._reveal(first);
    }
    this._soon();
  }

  /** From one found node to the next, round and round. */
  private _next(step: number): void {
    const found = [...this._picked.found];
    if (found.length) {
      const at = found.indexOf(this._selected ?? '');
      this._select(found[at < 0 ? 0 : (at + step + found.length) % found.length]);
    }
  }

  private _select(id: string | null): void {
    this._selected = id;
    this._pick();
    if (id !== null) {
      this._reveal(id);
    }
    this._tell(null);
    this._soon();
  }

  private _reveal(id: string): void {
    const top = (this._layout.placed.get(id)?.line ?? 0) * LINE;
    const { scrollTop, clientHeight } = this._port;
    if (top < scrollTop || top + LINE > scrollTop + clientHeight) {
      this._port.scrollTop = Math.max(0, top - clientHeight / 3);
    }
  }

  private _onClick(event: Event): void {
    const node = this._layout.placed.get(nodeAt(event) ?? '')?.node;
    this._select(node?.id ?? null);
    if (node) {
      this._open(node, false);
    }
  }

  /** A click only scrolls, so that the arrow keys go on from here; Enter goes there. */
  private _open(node: Node, focus: boolean): void {
    if (node.cell !== null) {
      this._actions.goTo(node.cell, focus);
    }
  }

  private _onKey(event: KeyboardEvent): void {
    const act = this._keys[event.key];
    if (act && !event.ctrlKey && !event.metaKey && !event.altKey && this._layout.lines.length) {
      act();
      event.preventDefault();
      event.stopPropagation();
    }
  }

  private readonly _keys: Readonly<Record<string, () => void>> = {
    ArrowDown: () => this._move(1),
    ArrowUp: () => this._move(-1),
    PageDown: () => this._move(10),
    PageUp: () => this._move(-10),
    Home: () => this._move(-Infinity),
    End: () => this._move(Infinity),
    ArrowLeft: () => this._step(this._layout.before),
    ArrowRight: () => this._step(this._layout.after),
    Escape: () => this._select(null),
    Enter: () => this._enter(),
    ' ': () => this._enter()
  };

  private _enter(): void {
    const node = this._layout.placed.get(this._selected ?? '')?.node;
    if (node) {
      this._open(node, true);
    }
  }

  /** Up and down in the order in which things stand. */
  private _move(by: number): void {
    const all = this._layout.lines.flat();
    const at = all.findIndex(one => one.node.id === this._selected);
    const start = at >= 0 ? at : by > 0 ? -1 : all.length;
    this._select(all[Math.min(all.length - 1, Math.max(0, start + by))].node.id);
  }

  /** To the nearest that it came from, or that came of it. */
  private _step(next: Layout['before']): void {
    const near = this._selected === null ? undefined : next.get(this._selected)?.[0];
    if (near !== undefined) {
      this._select(near);
    }
  }

  /** What stands below the graph: the node under the pointer, else the selected one, else how much there is. */
  private _tell(hovered: string | null): void {
    const node = this._layout.placed.get(hovered ?? this._selected ?? '')?.node;
    say(this._about, node ? this._story(node) : this._sizes());
  }

  private _story(node: Node): string {
    const { before, after } = this._layout;
    const up = reachable(node.id, before).size;
    const down = reachable(node.id, after).size;
    const where = node.cell === null || node.kind === 'cell' ? '' : ` · made in ${this._actions.nameOf(node.cell)}`;
    return `${describe(node)}${where} · ${up} upstream, ${down} downstream`;
  }

  private _sizes(): string {
    const left = this._more ? `; ${plural(this._more, 'older node')} left out, %lineage shows all` : '';
    const { placed, edges } = this._layout;
    return placed.size ? `${plural(placed.size, 'node')}, ${plural(edges.length, 'edge')}${left}` : EMPTY;
  }

  private _soon(): void {
    if (!this._frame) {
      this._frame = requestAnimationFrame(() => {
        this._frame = 0;
        this._render();
      });
    }
  }

  private _render(): void {
    const { clientHeight, clientWidth, scrollTop } = this._port;
    if (!clientWidth) {
      return; // not in sight
    }
    const [first, last] = [Math.floor(scrollTop / LINE) - 3, Math.ceil((scrollTop + clientHeight) / LINE) + 3];
    const picked = this._picked;
    const wanted = (edge: Edge): boolean => onWay(edge, picked) !== null;
    const view = inView(this._layout, first, last, MOST_EDGES, wanted);
    const wide = widthOf(this._layout.slots, clientWidth);
    const top = Math.max(0, first) * LINE;
    const high = Math.max(0, Math.min(this._layout.lines.length, last + 1) * LINE - top);
    const alone = ({ line }: Placed): boolean => this._layout.lines[line].length === 1;
    // Way edges last: they lie over the others.
    const edges = [...view.edges].sort((one, other) => Number(wanted(one)) - Number(wanted(other)));
    this._canvas.replaceChildren(
      svg(
        'svg',
        { width: wide, height: high, viewBox: `0 ${top} ${wide} ${high}`, style: `top: ${top}px`, role: 'presentation' },
        arrow(),
        ...edges.map(edge => drawEdge(edge, this._layout, picked)),
        ...view.nodes.map(one => drawNode(one, clientWidth, alone(one), picked))
      )
    );
    this._canvas.classList.toggle('mlmagic-has-way', picked.selected !== null);
    this._canvas.classList.toggle('mlmagic-has-found', picked.found.size > 0);
    this._canvas.style.width = `${wide}px`;
    this._port.setAttribute('aria-activedescendant', picked.selected === null ? '' : idOf(picked.selected));
  }

  private _nodes: ReadonlyMap<string, Node> | null = null;
  private _edges: ReadonlyMap<string, Edge> | null = null;
  private _layout: Layout = layOut([], []);
  private _picked: Picked = { selected: null, up: NONE, down: NONE, found: NONE };
  private _selected: string | null = null;
  private _more = 0;
  private _frame = 0;
  private readonly _box = el('input', {
    type: 'search',
    placeholder: 'Search',
    'aria-label': 'Search the graph by name, type or kind; Enter goes to the next',
    class: 'mlmagic-search'
  });
  private readonly _count = el('span', { role: 'status', class: 'mlmagic-quiet' });
  private readonly _about = el('p', { role: 'status', class: 'mlmagic-about' });
  private readonly _canvas = el('div', { class: 'mlmagic-canvas' });
  private readonly _port = el('div', {
    class: 'mlmagic-port',
    tabindex: 0,
    role: 'listbox',
    'aria-label': 'Lineage: up and down move, left goes upstream, right downstream, Enter goes to the cell'
  });
}

function nodeAt(event: Event): string | null {
  const hit = event.target instanceof Element ? event.target.closest<SVGGElement>('[data-node]') : null;
  return hit?.dataset.node ?? null;
}
