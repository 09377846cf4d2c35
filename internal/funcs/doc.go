// Package funcs keeps Go functions under names and calls them with arguments that arrive as Erlang terms.
//
// What a function's type demands is worked out when it is registered. The commonest types, such as func(int) int and
// func(any) any, have a path without reflection, which allocates nothing of its own.
package funcs
