/** Runs the stale cells of a notebook, in its order, and only those. */
import { NotebookActions } from '@jupyterlab/notebook';

import type { Book } from './books';
import type { Channel } from './channel';
import { staleCells } from './model';

const PATIENCE = 3000; // milliseconds after a cell's end in which the kernel's news of it come

/** How many ran. What became fresh or stale on the way is looked at when its turn comes; a failure ends it. */
export async function runStale({ panel, channel }: Book): Promise<number> {
  let count = 0;
  for (const cell of panel.content.widgets.slice()) {
    const { id } = cell.model;
    if (cell.isDisposed || !staleCells(channel.state).has(id)) {
      continue;
    }
    const before = channel.state?.cells.get(id)?.execution;
    count += 1;
    if (!(await NotebookActions.runCells(panel.content, [cell], panel.sessionContext))) {
      break;
    }
    await newsOf(channel, id, before);
  }
  return count;
}

/** When the kernel has told of the cell's run after the execution `before`. */
function newsOf(channel: Channel, id: string, before: string | undefined): Promise<void> {
  return new Promise(resolve => {
    const look = (): void => {
      const now = channel.state?.cells.get(id);
      if (!channel.state || (now && now.execution !== before && now.status !== 'running')) {
        finish();
      }
    };
    const finish = (): void => {
      clearTimeout(timer);
      channel.changed.disconnect(look);
      resolve();
    };
    const timer = setTimeout(finish, PATIENCE);
    channel.changed.connect(look);
    look();
  });
}
