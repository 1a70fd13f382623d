/** The open notebooks, each with its channel and with the texts that ran; the other plugins ask here. */
import type { ISessionContext } from '@jupyterlab/apputils';
import type { Cell as CellWidget } from '@jupyterlab/cells';
import { type INotebookTracker, NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import { Token } from '@lumino/coreutils';
import { type ISignal, Signal } from '@lumino/signaling';

import { Channel } from './channel';

/** One notebook. Two views of it share its channel. */
export interface Book {
  readonly panel: NotebookPanel;
  readonly channel: Channel;
  /** The text of each cell when it was last sent from this page. */
  readonly ran: ReadonlyMap<string, string>;
}

export interface IBooks {
  readonly current: Book | null;
  readonly all: readonly Book[];
  /** Another notebook is current, or a book was opened or closed. */
  readonly moved: ISignal<IBooks, void>;
  /** What is known of this book changed. */
  readonly changed: ISignal<IBooks, Book>;
}

export const IBooks = new Token<IBooks>('mlmagic:IBooks', 'The open notebooks and their channels to mlmagic.');

export class Books implements IBooks {
  constructor(private readonly _tracker: INotebookTracker) {
    NotebookActions.executionScheduled.connect(this._onScheduled, this);
    _tracker.forEach(panel => this._adopt(panel));
    _tracker.widgetAdded.connect((_, panel) => this._adopt(panel));
    _tracker.currentChanged.connect(() => this._moved.emit());
  }

  get current(): Book | null {
    const panel = this._tracker.currentWidget;
    return (panel && this._books.get(panel)) ?? null;
  }

  get all(): readonly Book[] {
    return [...this._books.values()];
  }

  get moved(): ISignal<this, void> {
    return this._moved;
  }

  get changed(): ISignal<this, Book> {
    return this._changed;
  }

  private _adopt(panel: NotebookPanel): void {
    const context = panel.sessionContext;
    const twin = this.all.find(book => book.panel.sessionContext === context);
    const channel = twin?.channel ?? new Channel(context);
    const book = { panel, channel, ran: twin?.ran ?? new Map<string, string>() };
    this._books.set(panel, book);
    const tell = (): void => this._changed.emit(book);
    channel.changed.connect(tell);
    void panel.context.ready.then(() => this._follow(book));
    panel.disposed.connect(() => {
      channel.changed.disconnect(tell);
      this._books.delete(panel);
      this._closeUnused(context, channel);
      this._moved.emit();
    });
    this._moved.emit();
  }

  /** Tell the kernel's side in which order the cells stand, now and whenever some come, go or move. */
  private _follow({ panel, channel }: Book): void {
    const cells = panel.content.model?.cells;
    if (panel.isDisposed || !cells) {
      return;
    }
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const arrange = (): void => channel.arrange(Array.from(cells, cell => cell.id));
    cells.changed.connect(() => {
      clearTimeout(waiting);
      waiting = setTimeout(() => panel.isDisposed || arrange(), 200);
    });
    arrange();
  }

  private _closeUnused(context: ISessionContext, channel: Channel): void {
    if (!this.all.some(book => book.panel.sessionContext === context)) {
      channel.dispose();
    }
  }

  private _onScheduled(_: unknown, { cell }: { cell: CellWidget }): void {
    const book = this.all.find(one => one.panel.content.widgets.includes(cell));
    if (book) {
      (book.ran as Map<string, string>).set(cell.model.id, cell.model.sharedModel.getSource());
      this._changed.emit(book);
    }
  }

  private readonly _books = new Map<NotebookPanel, Book>();
  private readonly _moved = new Signal<this, void>(this);
  private readonly _changed = new Signal<this, Book>(this);
}
