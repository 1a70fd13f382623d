/** What a person most likely means when they ask for a target: the selected text, else the word at the cursor. */
import type { Cell } from '@jupyterlab/cells';

import { wordAt } from './words';

export function likelyTarget(cell: Cell | null): string {
  const editor = cell?.editor;
  if (!cell || !editor) {
    return '';
  }
  const source = cell.model.sharedModel.getSource();
  const { start, end } = editor.getSelection();
  const [from, to] = [editor.getOffsetAt(start), editor.getOffsetAt(end)].sort((one, other) => one - other);
  const selected = source.slice(from, to).trim();
  return selected && !selected.includes('\n') ? selected : wordAt(source, editor.getOffsetAt(editor.getCursorPosition()));
}
