/** The plugins: which notebooks are open, the marks on their cells, and the panel with its commands. */
import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { LabIcon } from '@jupyterlab/ui-components';

import iconSvg from '../style/icon.svg';
import { type Book, Books, IBooks } from './books';
import { addCommands } from './commands';
import { Marks } from './marks';
import { Panel } from './panel';

const SETTINGS = 'mlmagic:plugin';
const icon = new LabIcon({ name: 'mlmagic:icon', svgstr: iconSvg });

const books: JupyterFrontEndPlugin<IBooks> = {
  id: 'mlmagic:books',
  description: 'Keeps one channel to the kernel of each open notebook.',
  autoStart: true,
  requires: [INotebookTracker],
  provides: IBooks,
  activate: (_: JupyterFrontEnd, tracker: INotebookTracker) => new Books(tracker)
};

const marks: JupyterFrontEndPlugin<void> = {
  id: 'mlmagic:marks',
  description: 'Marks cells as ran, reused, stale, edited, not reusable or failed.',
  autoStart: true,
  requires: [IBooks],
  optional: [ISettingRegistry],
  activate: (_: JupyterFrontEnd, all: IBooks, registry: ISettingRegistry | null) => {
    const shown = new Marks(all);
    void registry?.load(SETTINGS).then(settings => {
      const read = (): void => {
        shown.shown = settings.get('marks').composite !== false;
      };
      settings.changed.connect(read);
      read();
    });
  }
};

const plugin: JupyterFrontEndPlugin<void> = {
  id: SETTINGS,
  description: 'The panel in the right side bar, and the commands.',
  autoStart: true,
  requires: [IBooks],
  optional: [ICommandPalette, ILayoutRestorer],
  activate: (app: JupyterFrontEnd, all: IBooks, palette: ICommandPalette | null, restorer: ILayoutRestorer | null) => {
    const panel = new Panel(all, (book, cell, focus) => goTo(app, book, cell, focus));
    panel.title.icon = icon;
    panel.title.caption = 'mlmagic: lineage, reuse, sweeps, checks, endpoints';
    app.shell.add(panel, 'right', { rank: 900, type: 'mlmagic' });
    restorer?.add(panel, panel.id);
    addCommands({ app, books: all, panel, icon }, palette);
  }
};

/** Whether the notebook has the cell; if so it is in sight and active now. */
function goTo(app: JupyterFrontEnd, { panel }: Book, cell: string, focus: boolean): boolean {
  const index = panel.content.widgets.findIndex(one => one.model.id === cell);
  if (index < 0) {
    return false;
  }
  panel.content.activeCellIndex = index;
  void panel.content.scrollToItem(index, 'smart');
  if (focus) {
    app.shell.activateById(panel.id);
  }
  return true;
}

export default [books, marks, plugin];
