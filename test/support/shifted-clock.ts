// This process's clock, moved: `Date` tells a time that is off by so many milliseconds. Timers and performance.now() go on as they are,
// as they do when somebody sets a machine's clock.

const RealDate = Date

export function shiftClock(byMs: number): void {
  class ShiftedDate extends RealDate {
    constructor(...args: unknown[]) {
      if (args.length === 0) super(RealDate.now() + byMs)
      else super(...(args as [number]))
    }
    static override now(): number {
      return RealDate.now() + byMs
    }
  }
  globalThis.Date = byMs === 0 ? RealDate : (ShiftedDate as DateConstructor)
}
