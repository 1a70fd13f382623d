import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { inView, layOut, reachable, search } from '../src/layout';
import type { Edge, Node } from '../src/wire';
import { node } from './made';

function chain(length: number): { nodes: Node[]; edges: Edge[] } {
  const nodes = Array.from({ length }, (_, row) => node(`n${row}`, row));
  const edges = nodes.slice(1).map((one, before): Edge => [`n${before}`, one.id]);
  return { nodes, edges };
}

describe('the layout', () => {
  it('gives each row a line, in the order of rows and without holes', () => {
    const { placed, lines } = layOut([node('late', 70), node('early', 3), node('middle', 12)], []);
    assert.deepEqual(['early', 'middle', 'late'].map(id => placed.get(id)?.line), [0, 1, 2]);
    assert.equal(lines.length, 3);
  });

  it('puts those of one row beside each other', () => {
    const { placed, slots } = layOut([node('a', 1), node('b', 1), node('c', 2)], []);
    assert.deepEqual(['a', 'b', 'c'].map(id => [placed.get(id)!.line, placed.get(id)!.slot]), [[0, 0], [0, 1], [1, 0]]);
    assert.equal(slots, 2);
  });

  it('moves nothing while the graph grows', () => {
    const { nodes, edges } = chain(300);
    const half = layOut(nodes.slice(0, 150), edges.slice(0, 149));
    const whole = layOut(nodes, [...edges, ['n299', 'n0']]);
    for (const [id, { line, slot }] of half.placed) {
      assert.deepEqual([whole.placed.get(id)!.line, whole.placed.get(id)!.slot], [line, slot]);
    }
  });

  it('leaves out edges to nodes that are not there', () => {
    assert.deepEqual(layOut([node('a', 0)], [['a', 'gone'], ['gone', 'a']]).edges, []);
  });
});

describe('upstream and downstream', () => {
  it('reach all, without the node itself, also round a circle', () => {
    const edges: Edge[] = [['a', 'b'], ['b', 'c'], ['b', 'd'], ['d', 'b']];
    const { before, after } = layOut(['a', 'b', 'c', 'd'].map((id, row) => node(id, row)), edges);
    assert.deepEqual([...reachable('c', before)].sort(), ['a', 'b', 'd']);
    assert.deepEqual([...reachable('b', after)].sort(), ['c', 'd']);
    assert.deepEqual([...reachable('c', after)], []);
  });
});

describe('what is in view', () => {
  it('is its lines, and edges that touch or cross them', () => {
    const { nodes, edges } = chain(100);
    const layout = layOut(nodes, [...edges, ['n0', 'n99'], ['n0', 'n5']]);
    const view = inView(layout, 40, 42, 50);
    assert.deepEqual(view.nodes.map(one => one.node.id), ['n40', 'n41', 'n42']);
    assert.deepEqual(view.edges.map(edge => edge.join()).sort(), ['n0,n99', 'n39,n40', 'n40,n41', 'n41,n42', 'n42,n43']);
  });

  it('stays small where thousands of nodes all read the first, and has the wanted edges first', () => {
    const nodes = chain(2000).nodes;
    const layout = layOut(nodes, nodes.slice(1).map((one): Edge => ['n0', one.id]));
    const view = inView(layout, 0, 40, 100, ([, to]) => to === 'n1999');
    assert.equal(view.nodes.length, 41);
    assert.equal(view.edges.length, 100);
    assert.deepEqual(view.edges[0], ['n0', 'n1999']);
    assert.deepEqual(view.edges[1], ['n0', 'n1']);
  });
});

it('search finds by label, type and kind, from the top, whatever the case', () => {
  const nodes = [node('b', 5, { label: 'Model' }), node('a', 1, { type: 'LinearModel' }), node('c', 9, { kind: 'model' }), node('d', 2)];
  const layout = layOut(nodes, []);
  assert.deepEqual(search(layout, ' model '), ['a', 'b', 'c']);
  assert.deepEqual(search(layout, ' '), []);
});
