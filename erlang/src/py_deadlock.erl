%% @doc Finds stuck contexts. Pure; {@link py_contexts} looks again and again while calls wait.
%%
%% The counter of a context (see {@link py_handler}) is odd while its Python thread waits for a
%% registered function, and changes with each function. A context with the same odd count for long
%% enough is stuck: its function waits too, perhaps for a context.
-module(py_deadlock).

-export([snapshot/3, stuck/3]).
-export_type([snapshot/0]).

%% The odd counts, each with the time, in ms, of the first look at it.
-opaque snapshot() :: #{pid() => {Count :: integer(), Since :: integer()}}.

%% @doc The counts as they are now. `Before' is the previous snapshot, or `none' for the first.
-spec snapshot(#{pid() => integer()}, integer(), none | snapshot()) -> snapshot().
snapshot(Counts, Now, none) ->
    snapshot(Counts, Now, #{});
snapshot(Counts, Now, Before) ->
    maps:from_list([{Context, {Count, since(Context, Count, Now, Before)}} || {Context, Count} <- maps:to_list(Counts), Count rem 2 =:= 1]).

-spec since(pid(), integer(), integer(), snapshot()) -> integer().
since(Context, Count, Now, Before) ->
    case Before of
        #{Context := {Count, Since}} -> Since;
        #{} -> Now
    end.

%% @doc The contexts with the same odd count for the given time, in ms.
-spec stuck(pos_integer(), integer(), snapshot()) -> [pid()].
stuck(After, Now, Snapshot) ->
    [Context || {Context, {_, Since}} <- maps:to_list(Snapshot), Now - Since >= After].
