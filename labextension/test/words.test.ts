import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { hintFor } from '../src/hint';
import { cut, describe as told, inBytes, inSeconds, plural, wordAt } from '../src/words';
import { node } from './made';

it('seconds are as exact as they are interesting', () => {
  const shown = [0.0002, 0.0123, 0.9994, 1.25, 41.3, 99.4, 125, 3_725].map(inSeconds);
  assert.deepEqual(shown, ['< 1 ms', '12 ms', '999 ms', '1.3 s', '41 s', '99 s', '2 min 5 s', '1 h 2 min']);
});

it('bytes have one decimal below ten of a unit', () => {
  assert.deepEqual([0, 999, 1000, 1_234_000, 9_960_000, 5e9].map(inBytes), ['0 bytes', '999 bytes', '1.0 kB', '1.2 MB', '10 MB', '5.0 GB']);
});

it('text that is too long ends in an ellipsis', () => {
  assert.equal(cut('standardised', 8), 'standar…');
  assert.equal(cut('short', 5), 'short');
  assert.equal(plural(1, 'cell') + plural(2, 'cell'), '1 cell2 cells');
});

it('a node is told in one line, without what is not known', () => {
  assert.equal(told(node('df', 0, { type: 'DataFrame', shape: '(3, 2)', seconds: 1.5, preview: null })), 'variable df · DataFrame · (3, 2) · 1.5 s');
});

describe('the word at the cursor', () => {
  it('is the name that it is in, or at an end of', () => {
    const source = 'größe = fit(train_1)';
    assert.deepEqual([0, 3, 5, 14, 19].map(at => wordAt(source, at)), ['größe', 'größe', 'größe', 'train_1', 'train_1']);
  });

  it('is empty beside no name, and at a number', () => {
    assert.equal(wordAt('a = 12', 5), '');
    assert.equal(wordAt('a  b', 2), '');
  });
});

describe('the hint', () => {
  const here = { installed: true, python: '/env/bin/python' };

  it('says how to load what is installed', () => {
    assert.equal(hintFor('absent', here, undefined)?.copy, '%load_ext mlmagic');
  });

  it('says what to install where, with the kernel’s own interpreter', () => {
    const missing = { installed: false, python: '/other env/bin/python' };
    assert.equal(hintFor('absent', missing, undefined)?.copy, '"/other env/bin/python" -m pip install mlmagic');
  });

  it('names the kernel’s version where the two do not understand each other', () => {
    assert.match(hintFor('other', null, '9.0')?.text ?? '', /mlmagic 9\.0 /);
  });

  it('is not there while nobody knows yet, nor where all is well or nothing is to be done', () => {
    assert.equal(hintFor('absent', null, undefined), null);
    for (const standing of ['none', 'gone', 'foreign', 'waiting', 'live'] as const) {
      assert.equal(hintFor(standing, here, '0.1.0'), null);
    }
  });
});
