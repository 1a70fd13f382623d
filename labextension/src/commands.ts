/** The commands: in the palette, in the cells' context menu, one in the notebook's toolbar. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { type ICommandPalette, InputDialog, Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { LabIcon } from '@jupyterlab/ui-components';

import type { Book, IBooks } from './books';
import type { Panel } from './panel';
import { runStale } from './stale';
import { likelyTarget } from './targets';
import { plural } from './words';

interface Tools {
  readonly app: JupyterFrontEnd;
  readonly books: IBooks;
  readonly panel: Panel;
  readonly icon: LabIcon;
}

interface Command {
  readonly label: string;
  readonly caption: string;
  readonly isEnabled?: () => boolean;
  readonly execute: () => unknown;
  readonly icon?: LabIcon;
}

const NO_ARGUMENTS = { args: { type: 'object', properties: {} } };

export function addCommands(tools: Tools, palette: ICommandPalette | null): void {
  for (const [name, command] of Object.entries(commandsOf(tools))) {
    const id = `mlmagic:${name}`;
    tools.app.commands.addCommand(id, { ...command, describedBy: NO_ARGUMENTS });
    palette?.addItem({ command: id, category: 'mlmagic' });
  }
  // Whether a command is possible depends on the notebook and on its kernel.
  const renew = (): void => tools.app.commands.notifyCommandChanged();
  tools.books.moved.connect(renew);
  let was = false;
  tools.books.changed.connect(() => {
    if (was !== isLive(tools.books)) {
      was = !was;
      renew();
    }
  });
}

function commandsOf(tools: Tools): Readonly<Record<string, Command>> {
  const isEnabled = (): boolean => isLive(tools.books);
  return {
    'open-panel': {
      label: 'mlmagic: open the panel',
      caption: 'Open the mlmagic panel: lineage, reuse, sweeps, checks, endpoints',
      icon: tools.icon,
      execute: () => open(tools)
    },
    lineage: {
      label: 'mlmagic: lineage of…',
      caption: 'Where a variable, file or model came from',
      isEnabled,
      execute: () => askLineage(tools)
    },
    explain: {
      label: 'mlmagic: why was this recomputed?',
      caption: 'Why the cell was or was not reused',
      isEnabled,
      execute: () => explain(tools)
    },
    slice: {
      label: 'mlmagic: slice to script…',
      caption: 'The smallest script that makes a variable again, as a new file',
      isEnabled,
      execute: () => slice(tools)
    },
    'run-stale': {
      label: 'mlmagic: run stale cells',
      caption: 'Run the cells whose inputs changed since they ran, in the order of the notebook',
      isEnabled,
      execute: () => runStaleCells(tools)
    },
    cancel: {
      label: 'mlmagic: cancel',
      caption: 'Interrupt the running cell',
      isEnabled,
      execute: () => ask(tools, 'Cancel', 'cancel')
    },
    doctor: {
      label: 'mlmagic: check the installation',
      caption: 'Versions, the store and the connection, and what to do about each',
      isEnabled,
      execute: () => ask(tools, 'Check of the installation', 'doctor')
    }
  };
}

function isLive(books: IBooks): boolean {
  return books.current?.channel.standing === 'live';
}

function open({ app, panel }: Tools): void {
  app.shell.activateById(panel.id);
}

function ask(tools: Tools, ...question: Parameters<Panel['ask']>): ReturnType<Panel['ask']> {
  open(tools);
  return tools.panel.ask(...question);
}

async function askLineage(tools: Tools): Promise<void> {
  const target = await targetFrom(tools.books.current, 'Lineage of what?');
  if (target) {
    tools.panel.choose('lineage');
    await ask(tools, `Lineage of ${target}`, 'lineage', { target });
  }
}

async function explain(tools: Tools): Promise<void> {
  const cell = tools.books.current?.panel.content.activeCell;
  if (cell) {
    await ask(tools, 'Why was this recomputed?', 'explain', { cell: cell.model.id });
  }
}

async function slice(tools: Tools): Promise<void> {
  const book = tools.books.current;
  const target = await targetFrom(book, 'Script that makes what?');
  if (!target || !book) {
    return;
  }
  const reply = await ask(tools, `Script for ${target}`, 'slice', { target });
  if (reply.text !== undefined && reply.error === undefined) {
    await openScript(tools.app, PathExt.dirname(book.panel.context.localPath), reply.text);
  }
}

async function targetFrom(book: Book | null, title: string): Promise<string | null> {
  const { value } = await InputDialog.getText({
    title,
    label: 'A variable, [3] for a cell, file:PATH, or a name given by %%track',
    text: likelyTarget(book?.panel.content.activeCell ?? null),
    selectionRange: 1000, // all of it, so that typing replaces it
    required: true,
    okLabel: 'Ask'
  });
  return value?.trim() || null;
}

/** A new file beside the notebook, saved, so that nothing is lost. */
async function openScript(app: JupyterFrontEnd, folder: string, text: string): Promise<void> {
  const options = { path: folder, type: 'file', ext: '.py' };
  const made = (await app.commands.execute('docmanager:new-untitled', options)) as { path: string };
  const opened: unknown = await app.commands.execute('docmanager:open', { path: made.path, factory: 'Editor' });
  const { context } = opened as { context: DocumentRegistry.CodeContext };
  await context.ready;
  context.model.sharedModel.setSource(text);
  await context.save();
}

async function runStaleCells(tools: Tools): Promise<void> {
  const book = tools.books.current;
  if (book) {
    const count = await runStale(book);
    Notification.info(count ? `mlmagic: ran ${plural(count, 'stale cell')}.` : 'mlmagic: no cell is stale.', {
      autoClose: 4000
    });
  }
}
