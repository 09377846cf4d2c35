%% What the Python workloads call, and what the driver asks the node itself. Each takes the list of the call's arguments.
-module(functions).

-export([double_it/1, echo/1, size_of/1, memory/1, release/1]).

-spec double_it([integer()]) -> integer().
double_it([X]) -> X * 2.

-spec echo([term()]) -> term().
echo([X]) -> X.

-spec size_of([binary()]) -> non_neg_integer().
size_of([Binary]) -> byte_size(Binary).

-spec memory([]) -> non_neg_integer().
memory([]) -> erlang:memory(total).

-spec release([]) -> binary().
release([]) -> list_to_binary(erlang:system_info(otp_release)).
