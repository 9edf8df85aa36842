// Package overlay is what a charm and the agent in its pods tell each other: the agent's configuration and what is in it. It
// uses the standard library only, so that either side may import it.
package overlay
