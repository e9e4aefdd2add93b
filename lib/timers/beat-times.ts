// How often a process beats, and looks whether a worker does. A worker that was killed is missed after 5 s of silence by a look every 2 s, so within
// 10 s; a worker may stand still for 3 s without being missed.

/** When a process beats, in milliseconds. */
export interface BeatTimes {
  worker: number
  web: number
  /** How often a web process looks between its beats whether a worker still beats. */
  look: number
  /** A web process that finds something wrong looks more often, so that it notices the end. */
  doubting: number
  /** The first beat of a web process after it has mounted the timers, or used them. */
  first: number
  /** In Postgres: the first row of a worker, that of a web process, and every further one. */
  firstRowOfWorker: number
  row: number
  /** For how long nothing is reported at first. */
  quietStart: number
}

export const BEAT_TIMES: BeatTimes = {
  worker: 1_500,
  web: 15_000,
  look: 2_000,
  doubting: 2_000,
  first: 5_000,
  firstRowOfWorker: 5_000,
  row: 60_000,
  quietStart: 30_000,
}
