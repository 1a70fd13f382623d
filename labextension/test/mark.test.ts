import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { crc32, markOf, wasEdited } from '../src/mark';
import { cell } from './made';

describe('a mark', () => {
  const cases = [
    ['ran', cell('a'), false, '✓', '', 'Ran in 500 ms.'],
    ['reused', cell('a', { status: 'reused', saved: 41 }), false, '↻', 'saved 41 s', 'Reused, saved 41 s.'],
    ['stale', cell('a', { stale: 'x changed' }), false, '!', 'stale', 'Ran in 500 ms. Stale: x changed.'],
    ['edited', cell('a'), true, '!', 'edited', 'Ran in 500 ms. Edited since it ran.'],
    ['unkept', cell('a', { unkept: 'it reads the clock' }), false, '–', 'not reusable', 'Ran in 500 ms. Not reusable: it reads the clock.'],
    ['failed', cell('a', { failed: ['size', 'range'] }), false, '✗', 'check failed', 'Ran in 500 ms. Check failed: size, range.'],
    ['error', cell('a', { status: 'error' }), false, '✗', 'error', 'Raised an error after 500 ms.'],
    ['error', cell('a', { status: 'interrupted' }), false, '✗', 'interrupted', 'Interrupted after 500 ms.']
  ] as const;
  for (const [kind, last, edited, glyph, word, text] of cases) {
    it(`${kind} has glyph, word and explanation: ${text}`, () => {
      assert.deepEqual(markOf(last, false, edited), { kind, glyph, word, text });
    });
  }

  it('says while the cell runs that it does, whatever was before', () => {
    assert.equal(markOf(cell('a', { failed: ['size'] }), true, true)?.kind, 'running');
    assert.equal(markOf(undefined, true, false)?.kind, 'running');
  });

  it('shows what matters most and tells all', () => {
    const mark = markOf(cell('a', { status: 'reused', saved: 2, stale: 'x changed', failed: ['size'] }), false, true);
    assert.equal(mark?.kind, 'failed');
    assert.equal(mark?.text, 'Reused, saved 2.0 s. Check failed: size. Edited since it ran. Stale: x changed.');
  });

  it('is not there for a cell that this kernel did not run', () => {
    assert.equal(markOf(undefined, false, true), null);
  });
});

describe('edited', () => {
  it('compares with the text that this page saw run', () => {
    assert.equal(wasEdited(cell('a'), 'x = 1', 'x = 1'), false);
    assert.equal(wasEdited(cell('a'), 'x = 2', 'x = 1'), true);
  });

  it('goes by the checksum where the kernel sends one: another tab may have run another text', () => {
    assert.equal(wasEdited(cell('a', { typed: crc32('x = 2') }), 'x = 1', 'x = 1'), true);
    assert.equal(wasEdited(cell('a', { typed: crc32('x = 2') }), 'x = 2', undefined), false);
  });

  it('claims nothing where neither is known', () => {
    assert.equal(wasEdited(cell('a'), 'x = 2', undefined), false);
    assert.equal(wasEdited(undefined, 'x = 2', 'x = 1'), false);
  });

  it('uses the checksum of zlib.crc32, of UTF-8', () => {
    assert.equal(crc32('123456789'), 0xcbf43926);
    assert.equal(crc32('größe = "✓"'), 2870003954);
  });
});
