package beat

import "time"

// Every is how often a client sends a beat. A gateway answers each.
const Every = 100 * time.Millisecond

// Lost is after how long without a fresh beat the other end is lost: four in a row that did not come, where one in twenty gets
// lost on the way.
const Lost = 400 * time.Millisecond
