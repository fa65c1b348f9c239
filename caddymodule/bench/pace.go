//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// paced is a load of requests at a steady pace on all connections of a pool.
type paced struct {
	d         time.Duration
	perSecond float64 // of all connections together; 0 for as fast as possible
	status    int     // required of all answers
	next      func() []byte
}

// pace makes the requests. The time of a late request, whose connection still waited for the previous one,
// counts from when it should have begun.
func (p *pool) pace(ctx context.Context, o paced) (turn, error) {
	n := len(p.open)
	results, errs := make([]turn, n), make([]error, n)
	begun := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				request, due := o.next(), time.Now()
				if o.perSecond > 0 {
					due = begun.Add(time.Duration(float64(k*n+i) / o.perSecond * float64(time.Second)))
				}
				if !due.Before(begun.Add(o.d)) {
					return
				}
				waited := time.Since(due)
				if waited < 0 {
					time.Sleep(-waited)
					waited = 0 // oversleeping is this process's
				}
				a, err := p.open[i].do(request, io.Discard, o.status)
				if err != nil {
					errs[i] = err
					return
				}
				results[i].requests++
				results[i].first = append(results[i].first, waited+a.firstByte)
			}
		})
	}
	wg.Wait()
	var sum turn
	for _, r := range results {
		sum.requests += r.requests
		sum.first = append(sum.first, r.first...)
	}
	return sum, errors.Join(append(errs, ctx.Err())...)
}
