// Package api is the operator's API: the types of its requests and answers, one table of its
// routes, and a client. httpapi/operator registers the table's routes, and the OpenAPI document is
// made from table and types:
//
//	go generate ./pushsvc/api
//
// Names in JSON are camelCase, times are RFC 3339 in UTC.
package api

//go:generate go run ./gen
