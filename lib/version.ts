// The version of this package, and of what it keeps in Redis. A test compares the first with package.json.

export const VERSION = '0.1.0'

/** Raised when a version keeps something in Redis that earlier versions would misread. They then do not use Redis under that prefix. */
export const LAYOUT = 1
