package caddymodule

import (
	"net/netip"
	"sync"
)

// pageQueue holds what pages told until the store takes it, in the order in which it
// came. Where it is full, the client that has the most in it loses its latest: one
// client's flood costs that client alone.
type pageQueue struct {
	mu        sync.Mutex
	more      sync.Cond // something has come, or the queue is closed
	all       []pageTold
	perClient map[netip.Addr]int // how many each client has in it
	closed    bool
}

func newPageQueue() *pageQueue {
	q := &pageQueue{perClient: make(map[netip.Addr]int)}
	q.more.L = &q.mu
	return q
}

// put adds one; false where one was left out for it, or it was.
func (q *pageQueue) put(t pageTold) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	full := len(q.all) >= pageQueueLen
	if full && !q.makeRoom(t.client) {
		return false
	}
	q.all = append(q.all, t)
	q.perClient[t.client]++
	q.more.Signal()
	return !full
}

// makeRoom leaves out the latest of the client that has the most; false where that is
// the one for which room is to be made.
func (q *pageQueue) makeRoom(client netip.Addr) bool {
	most := client
	for c, n := range q.perClient {
		if n > q.perClient[most] {
			most = c
		}
	}
	if most == client {
		return false
	}
	for i := len(q.all) - 1; i >= 0; i-- {
		if q.all[i].client == most {
			q.all = append(q.all[:i], q.all[i+1:]...)
			q.countDown(most)
			return true
		}
	}
	return false
}

// take waits for the first one; false where the queue is closed and empty.
func (q *pageQueue) take() (pageTold, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.all) == 0 {
		if q.closed {
			return pageTold{}, false
		}
		q.more.Wait()
	}
	t := q.all[0]
	q.all[0] = pageTold{}
	if q.all = q.all[1:]; len(q.all) == 0 {
		q.all = nil
	}
	q.countDown(t.client)
	return t, true
}

// countDown takes in that one of the client is no longer in it.
func (q *pageQueue) countDown(client netip.Addr) {
	if q.perClient[client]--; q.perClient[client] == 0 {
		delete(q.perClient, client)
	}
}

// close lets take end once the queue is empty.
func (q *pageQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.more.Broadcast()
}
