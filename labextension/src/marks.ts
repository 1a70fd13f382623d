/**
 * Draws the marks: data attributes on each cell's node, glyph and word by CSS. They survive that prompts are rendered
 * again, and cost no widget.
 */
import type { Cell as CellWidget } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';

import type { Book, IBooks } from './books';
import { type Mark, markOf, wasEdited } from './mark';

export class Marks {
  constructor(private readonly _books: IBooks) {
    _books.changed.connect((_, book) => this._soon(book));
    _books.moved.connect(() => this._follow());
    this._follow();
  }

  /** Whether marks are shown, as the setting says. */
  set shown(shown: boolean) {
    this._shown = shown;
    this._books.all.forEach(book => this._soon(book));
  }

  private _follow(): void {
    for (const book of this._books.all) {
      if (!this._followed.has(book.panel)) {
        this._followed.add(book.panel);
        void book.panel.context.ready.then(() => this._listen(book));
      }
    }
  }

  private _listen(book: Book): void {
    const { model } = book.panel.content;
    if (book.panel.isDisposed || !model) {
      return;
    }
    // Typing, moving and adding cells; and cells that scrolling brings to life, for their prompts' tooltips.
    model.contentChanged.connect(() => this._soon(book));
    book.panel.content.cellInViewportChanged.connect(() => this._soon(book));
    this._soon(book);
  }

  /** Paint once for all that happens in this frame. */
  private _soon(book: Book): void {
    if (!this._waiting.has(book)) {
      this._waiting.add(book);
      // Not in the next frame: pages in the background have none.
      setTimeout(() => {
        this._waiting.delete(book);
        this._paint(book);
      }, 30);
    }
  }

  private _paint({ panel, channel, ran }: Book): void {
    if (panel.isDisposed) {
      return;
    }
    const state = this._shown ? channel.state : null;
    for (const cell of panel.content.widgets) {
      const last = state?.cells.get(cell.model.id);
      const text = last ? cell.model.sharedModel.getSource() : '';
      const running = state?.running === cell.model.id;
      put(cell, markOf(last, running, wasEdited(last, text, ran.get(cell.model.id))));
    }
  }

  private _shown = true;
  private readonly _waiting = new Set<Book>();
  private readonly _followed = new WeakSet<NotebookPanel>();
}

function put(cell: CellWidget, mark: Mark | null): void {
  set(cell.node, 'data-mlmagic-mark', mark?.kind);
  set(cell.node, 'data-mlmagic-glyph', mark?.glyph);
  set(cell.node, 'data-mlmagic-word', mark?.word);
  set(cell.node, 'aria-description', mark?.text);
  const prompt = cell.inputArea?.promptNode;
  if (prompt) {
    set(prompt, 'title', mark?.text);
  }
}

/** Set or remove, touching the page only where something changes. */
function set(node: Element, name: string, value: string | undefined): void {
  if (value === undefined) {
    node.removeAttribute(name);
  } else if (node.getAttribute(name) !== value) {
    node.setAttribute(name, value);
  }
}
