package beat

import "time"

// Every is how often a client sends a beat. A gateway answers each.
const Every = 100 * time.Millisecond

// How often an end looks what has come. Of two that know each other nothing is new; two that are about to meet wait for each
// other's every word.
const (
	AtRest   = Every                 // a client
	Gather   = 30 * time.Millisecond // a gateway
	Awaiting = 20 * time.Millisecond // a client whose gateway is lost
	Meeting  = 10 * time.Millisecond // either, for as long as Meets after it has heard anything new
	Meets    = time.Second
)

// Lost is after how long without a fresh beat the other end is lost: four in a row that did not come, where one in twenty gets
// lost on the way. Behind three the next comes after four beats, and is late by as much as a gateway gathers: so half a beat more.
const Lost = 4*Every + Every/2
