%% What the Python workloads call, and what the driver asks the node itself. Each takes the list of the call's arguments.
-module(functions).

-export([double_it/1, echo/1, convert/1, size_of/1, memory/1, release/1]).

-spec double_it([integer()]) -> integer().
double_it([X]) -> X * 2.

-spec echo([term()]) -> term().
echo([X]) -> X.

%% How many nanoseconds it takes to read a term and to write it, again and again for so many milliseconds: what the node has to do for an echo.
-spec convert([term()]) -> [non_neg_integer()].
convert([Term, Milliseconds]) ->
    convert(term_to_binary(Term), erlang:monotonic_time(millisecond) + Milliseconds, []).

convert(Binary, End, Samples) ->
    Before = erlang:monotonic_time(nanosecond),
    _ = term_to_binary(binary_to_term(Binary)),
    Sample = erlang:monotonic_time(nanosecond) - Before,
    case erlang:monotonic_time(millisecond) < End of
        true -> convert(Binary, End, [Sample | Samples]);
        false -> [Sample | Samples]
    end.

-spec size_of([binary()]) -> non_neg_integer().
size_of([Binary]) -> byte_size(Binary).

-spec memory([]) -> non_neg_integer().
memory([]) -> erlang:memory(total).

-spec release([]) -> binary().
release([]) -> list_to_binary(erlang:system_info(otp_release)).
