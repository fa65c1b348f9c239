// Package api is the operator's API: the types of its requests and answers, one table of
// its routes, and a client. What the table says is registered by httpapi/operator and
// described in OpenAPI's document, which is made of both:
//
//	go generate ./pushsvc/api
//
// Names in JSON are camelCase, times are RFC 3339 in UTC.
package api

//go:generate go run ./gen
