/**
 * The life of the two comms between this page and one notebook's kernel: opened when the kernel says that the extension
 * is loaded (or when a page that comes later finds that it is), dropped with all state when the kernel goes.
 */
import type { ISessionContext } from '@jupyterlab/apputils';
import type { Kernel } from '@jupyterlab/services';
import { type ISignal, Signal } from '@lumino/signaling';

import { fold, type State } from './model';
import { COMMANDS, HELLO, PANEL, VERSION } from './wire';
import type { CommandName, Order, Push, Reply, Request, Section, Showing } from './wire';

/**
 * How the kernel stands with mlmagic. `foreign`: not Python. `shared`: another notebook of this page has the kernel's
 * comms. `waiting`: it has not answered yet. `absent`: the extension is not loaded. `other`: it speaks another version.
 */
export type Standing = 'none' | 'gone' | 'foreign' | 'shared' | 'waiting' | 'absent' | 'other' | 'live';

type Json = Parameters<Kernel.IComm['send']>[0];
type Comms = { readonly panel: Kernel.IComm; readonly commands: Kernel.IComm };
type Waiting = { readonly resolve: (reply: Reply) => void };

const LOST = 'the kernel went away before it answered';

export class Channel {
  constructor(private readonly _context: ISessionContext) {
    _context.kernelChanged.connect(this._attach, this);
    _context.statusChanged.connect(this._onStatus, this);
    _context.connectionStatusChanged.connect(this._onConnection, this);
    window.addEventListener('pagehide', this._close);
    this._attach();
  }

  /** The state or the standing is another. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get state(): State | null {
    return this._state;
  }

  get standing(): Standing {
    return this._standing;
  }

  get kernel(): Kernel.IKernelConnection | null {
    return this._kernel;
  }

  /** Say which sections the page shows; the kernel sends no others. */
  show(sections: Section[]): void {
    if (sections.join() !== this._sections.join()) {
      this._sections = sections;
      this._sayWhatIsShown();
    }
  }

  /** Say in which order the cells stand: what makes a cell stale are those above it. */
  arrange(cells: string[]): void {
    if (cells.join() !== this._order.join()) {
      this._order = cells;
      this._sayTheOrder();
    }
  }

  /** The kernel's answer, also while a cell runs. Never rejects: what went wrong is the reply's `error`. */
  ask(command: CommandName, rest: Pick<Request, 'target' | 'cell'> = {}): Promise<Reply> {
    const id = `${command}-${(this._asked += 1)}`;
    const comm = this._comms?.commands;
    if (!comm) {
      return Promise.resolve({ id, error: 'this kernel has not loaded mlmagic: run %load_ext mlmagic' });
    }
    return new Promise(resolve => {
      this._pending.set(id, { resolve });
      const request = { ...rest, id, command };
      this._isOpen ? send(comm, request) : this._early.push(request);
    });
  }

  dispose(): void {
    window.removeEventListener('pagehide', this._close);
    this._detach();
    Signal.clearData(this);
  }

  private _attach(): void {
    const kernel = this._context.session?.kernel ?? null;
    if (kernel === this._kernel) {
      return;
    }
    this._detach();
    this._kernel = kernel;
    if (!kernel) {
      this._become('none');
    } else if (!kernel.handleComms) {
      this._become('shared');
    } else {
      kernel.registerCommTarget(HELLO, this._onHello);
      void this._reconnect();
    }
  }

  private _detach(): void {
    const kernel = this._kernel;
    this._kernel = null;
    if (kernel && !kernel.isDisposed) {
      kernel.removeCommTarget(HELLO, this._onHello);
      this._close();
    }
    this._forget();
  }

  /** Tell a living kernel that this page no longer listens. */
  private _close = (): void => {
    for (const comm of Object.values(this._comms ?? {})) {
      try {
        comm.close();
      } catch {
        comm.dispose(); // the connection is gone: nobody to tell
      }
    }
    this._comms = null;
  };

  /** Drop the comms and all that came through them. */
  private _forget(): void {
    const comms = this._comms;
    this._comms = null;
    this._isOpen = false;
    this._early.length = 0;
    Object.values(comms ?? {}).forEach(comm => comm.dispose());
    this._pending.forEach(({ resolve }, id) => resolve({ id, error: LOST }));
    this._pending.clear();
    this._state = null;
  }

  private _onHello = (): void => {
    void this._open();
  };

  /** Open the comms where the kernel has the extension already: after a reload, in a second tab. */
  private async _reconnect(): Promise<void> {
    const kernel = this._kernel;
    if (!kernel?.handleComms || this._comms) {
      return;
    }
    this._become('waiting');
    try {
      const info = await kernel.info;
      const foreign = info.language_info.name !== 'python';
      const loaded = !foreign && (await hasComms(kernel));
      if (kernel === this._kernel && !this._comms) {
        loaded ? await this._open() : this._become(foreign ? 'foreign' : 'absent');
      }
    } catch {
      // The kernel went away while it was asked. Its next status starts this again.
    }
  }

  private async _open(): Promise<void> {
    const kernel = this._kernel;
    if (!kernel || this._comms) {
      return;
    }
    const panel = kernel.createComm(PANEL);
    const commands = kernel.createComm(COMMANDS);
    this._comms = { panel, commands };
    commands.onMsg = msg => this._onReply(msg.content.data as unknown as Reply);
    panel.onMsg = msg => this._onPush(msg.content.data as unknown as Push);
    panel.onClose = commands.onClose = () => {
      if (this._comms?.panel === panel) {
        this._comms = null; // %unload_ext: the kernel closes both, so there is nothing to dispose
        this._forget();
        this._become('absent');
      }
    };
    await Promise.all([onSubshell(kernel, panel), onSubshell(kernel, commands)]);
    if (this._comms?.panel === panel) {
      commands.open();
      panel.open(this._showing() as unknown as Json);
      this._isOpen = true;
      this._sayTheOrder();
      this._early.splice(0).forEach(request => send(commands, request));
    }
  }

  private _onPush(push: Push): void {
    if (push.type === 'snapshot' && push.version !== VERSION) {
      this._become('other', fold(null, push).state);
      return;
    }
    const { state, gap } = fold(this._state, push);
    if (gap) {
      this._sayWhatIsShown();
    } else if (state !== this._state) {
      this._become('live', state);
    }
  }

  private _onReply(reply: Reply): void {
    this._pending.get(reply.id)?.resolve(reply);
    this._pending.delete(reply.id);
  }

  private _showing(): Showing {
    return { type: 'showing', sections: this._sections };
  }

  private _sayTheOrder(): void {
    if (this._comms && this._isOpen && this._order.length > 0) {
      const order: Order = { type: 'order', cells: this._order };
      send(this._comms.panel, order);
    }
  }

  private _sayWhatIsShown(): void {
    if (this._comms && this._isOpen) {
      send(this._comms.panel, this._showing());
    }
  }

  private _onStatus(_: ISessionContext, status: Kernel.Status): void {
    if (status === 'restarting' || status === 'autorestarting' || status === 'dead') {
      this._forget();
      this._restarted = true;
      this._become(status === 'dead' ? 'gone' : 'waiting');
    } else if (this._restarted && status === 'idle') {
      // A kernel whose configuration loads the extension said hello before this page listened again.
      this._restarted = false;
      void this._reconnect();
    }
  }

  private _onConnection(_: ISessionContext, status: Kernel.ConnectionStatus): void {
    if (status === 'connected' && this._comms) {
      this._sayWhatIsShown(); // pushes may have been lost with the connection
    } else if (status === 'connected' && !this._restarted) {
      void this._reconnect();
    }
  }

  private _become(standing: Standing, state: State | null = this._state): void {
    this._standing = standing;
    this._state = state;
    this._changed.emit();
  }

  private _kernel: Kernel.IKernelConnection | null = null;
  private _comms: Comms | null = null;
  private _state: State | null = null;
  private _standing: Standing = 'none';
  private _sections: Section[] = [];
  private _order: string[] = [];
  /** The comms wait for threads of their own before they open. */
  private _isOpen = false;
  private readonly _early: Request[] = [];
  private _asked = 0;
  private _restarted = false;
  private readonly _pending = new Map<string, Waiting>();
  private readonly _changed = new Signal<this, void>(this);
}

function send(comm: Kernel.IComm, message: Showing | Order | Request): void {
  comm.send(message as unknown as Json);
}

async function hasComms(kernel: Kernel.IKernelConnection): Promise<boolean> {
  const reply = await kernel.requestCommInfo({ target_name: HELLO });
  return reply.content.status === 'ok' && Object.keys(reply.content.comms).length > 0;
}

/** The comm, once its messages go to a thread of their own in the kernel: sent before that, they wait for the cell. */
async function onSubshell(kernel: Kernel.IKernelConnection, comm: Kernel.IComm): Promise<void> {
  const started = (comm as Kernel.IComm & { readonly subshellStarted?: Promise<void> }).subshellStarted;
  if (kernel.supportsSubshells && started) {
    await started.catch(() => undefined); // without one, commands are answered between cells
  }
}
