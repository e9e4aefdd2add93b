// A process that stands still: its event loop is blocked, so that it reads no answer and fires no timer in time.

export function blockEventLoop(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}
