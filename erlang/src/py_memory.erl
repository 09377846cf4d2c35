%% @doc Python's memory, as `py:gc/0' and `py:memory_stats/0' have it.
-module(py_memory).

-export([gc/1, stats/1]).

%% Named here, so that they are atoms for all who ask.
-define(FIGURES, [gc_stats, gc_count, gc_threshold, traced_memory_current, traced_memory_peak]).

%% @doc Collects in every host; how many objects that were.
-spec gc(timeout()) -> {ok, non_neg_integer()} | {error, py_result:failure()}.
gc(Timeout) ->
    case py_contexts:hosts() of
        [_, _ | _] = Hosts -> sum([py_request:perform({host, Host}, py_request:plain(gc), Timeout) || Host <- Hosts], 0);
        %% None is up yet, or it is the one.
        _ -> py_request:perform(any, py_request:plain(gc), Timeout)
    end.

-spec sum([py_result:result()], non_neg_integer()) -> {ok, non_neg_integer()} | {error, py_result:failure()}.
sum([], Sum) -> {ok, Sum};
sum([{ok, Count} | Rest], Sum) -> sum(Rest, Sum + Count);
sum([{error, Reason} | _], _Sum) -> {error, Reason}.

%% @doc The figures, under atoms.
-spec stats(timeout()) -> {ok, #{atom() | binary() => term()}} | {error, py_result:failure()}.
stats(Timeout) ->
    case py_request:perform(any, py_request:plain(memory), Timeout) of
        {ok, Stats} ->
            Names = maps:from_list([{atom_to_binary(Name), Name} || Name <- ?FIGURES]),
            {ok, maps:from_list([{maps:get(Key, Names, Key), Value} || {Key, Value} <- maps:to_list(Stats)])};
        {error, Reason} ->
            {error, Reason}
    end.
