-- Names the keys for dead letters besides failures: ids by the time they died, and the stacks of the newest ones. Needs failures.
local dead, stacks = failures .. ':dead', failures .. ':stacks'
