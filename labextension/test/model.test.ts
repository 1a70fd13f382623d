import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { fold, staleCells, type State } from '../src/model';
import type { Push } from '../src/wire';
import { cell, delta, item, node, snapshot } from './made';

function after(...pushes: Push[]): State {
  const state = pushes.reduce<State | null>((before, push) => fold(before, push).state, null);
  assert.ok(state);
  return state;
}

describe('a snapshot', () => {
  it('replaces all that was known, also where its number is lower (the kernel restarted)', () => {
    const state = after(snapshot({ seq: 9, cells: [cell('a')] }), snapshot({ seq: 2, cells: [cell('b')] }));
    assert.deepEqual([...state.cells.keys()], ['b']);
    assert.equal(state.seq, 2);
  });

  it('says with null that a section was not asked for, which is not an empty one', () => {
    assert.equal(after(snapshot()).nodes, null);
    assert.equal(after(snapshot()).sweeps, null);
    assert.equal(after(snapshot({ nodes: [], edges: [] })).nodes?.size, 0);
  });
});

describe('a delta', () => {
  const first = snapshot({
    cells: [cell('a'), cell('b')],
    nodes: [node('x', 0), node('y', 1)],
    edges: [['x', 'y']],
    checks: [item('rule')]
  });

  it('replaces the cells and nodes that it names and leaves the others', () => {
    const state = after(first, delta(2, { cells: [cell('b', { count: 7 })], nodes: [node('y', 1, { type: 'int' })] }));
    assert.equal(state.cells.get('a')?.count, 1);
    assert.equal(state.cells.get('b')?.count, 7);
    assert.equal(state.nodes?.get('y')?.type, 'int');
    assert.equal(state.nodes?.size, 2);
  });

  it('adds edges once, and drops nodes that are gone with their edges', () => {
    const grown = after(first, delta(2, { nodes: [node('z', 2)], edges: [['y', 'z'], ['x', 'y']] }));
    assert.equal(grown.edges.size, 2);
    const shrunk = fold(grown, delta(3, { gone: ['y'] })).state;
    assert.equal(shrunk?.edges.size, 0);
    assert.deepEqual([...(shrunk?.nodes?.keys() ?? [])], ['x', 'z']);
  });

  it('cuts edges whose ends stay, and counts anew what was left out', () => {
    const state = after(first, delta(2, { cut: [['x', 'y']], more: 5 }));
    assert.equal(state.edges.size, 0);
    assert.equal(state.nodes?.size, 2);
    assert.equal(state.more, 5);
    assert.equal(fold(state, delta(3)).state?.more, 5);
  });

  it('replaces whole lists, and tells what runs', () => {
    const state = after(first, delta(2, { running: 'a', checks: [item('other')] }));
    assert.deepEqual(state.checks?.map(one => one.id), ['other']);
    assert.equal(state.running, 'a');
    assert.equal(fold(state, delta(3)).state?.running, null);
  });

  it('makes no half graph where the snapshot had none', () => {
    const state = after(snapshot(), delta(2, { nodes: [node('x', 0)], edges: [['x', 'x']] }));
    assert.equal(state.nodes, null);
    assert.equal(state.edges.size, 0);
  });

  it('leaves the state that it started from as it was', () => {
    const before = after(first);
    fold(before, delta(2, { cells: [cell('c')], gone: ['x'], edges: [] }));
    assert.equal(before.cells.size, 2);
    assert.equal(before.nodes?.size, 2);
    assert.equal(before.edges.size, 1);
  });
});

describe('the order of pushes', () => {
  it('has a gap where a number is skipped: the state stays, and a snapshot is to be asked for', () => {
    const state = after(snapshot({ seq: 4 }));
    const folded = fold(state, delta(6, { cells: [cell('a')] }));
    assert.equal(folded.gap, true);
    assert.equal(folded.state, state);
  });

  it('has none where a delta comes that the snapshot contains already', () => {
    const state = after(snapshot({ seq: 4 }));
    assert.deepEqual(fold(state, delta(4, { cells: [cell('a')] })), { state, gap: false });
  });

  it('has none before the first snapshot, which is under way', () => {
    assert.deepEqual(fold(null, delta(5)), { state: null, gap: false });
  });
});

it('stale cells are those with a reason, an empty one too', () => {
  const state = after(snapshot({ cells: [cell('a'), cell('b', { stale: 'x changed' }), cell('c', { stale: '' })] }));
  assert.deepEqual([...staleCells(state)], ['b', 'c']);
  assert.equal(staleCells(null).size, 0);
});
