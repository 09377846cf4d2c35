%% @doc Python's memory, as `py:gc/0', `py:memory_stats/0' and their like have it.
-module(py_memory).

-export([gc/2, stats/1, trace/2, no_trace/1]).
-export_type([generation/0]).

%% Those of Python's collector, the youngest first; 2 stands for all.
-type generation() :: 0..2.

%% Named here, so that they are atoms for all who ask.
-define(FIGURES, [gc_stats, gc_count, gc_threshold, traced_memory_current, traced_memory_peak]).

%% @doc Collects in every host; how many objects that were.
-spec gc(generation(), timeout()) -> {ok, non_neg_integer()} | {error, py_result:failure()}.
gc(Generation, Timeout) ->
    case everywhere(py_request:plain(gc, [Generation]), Timeout) of
        {ok, Counts} -> {ok, lists:sum(Counts)};
        {error, Reason} -> {error, Reason}
    end.

%% @doc The figures, under atoms.
-spec stats(timeout()) -> {ok, #{atom() | binary() => term()}} | {error, py_result:failure()}.
stats(Timeout) ->
    case py_request:perform(any, py_request:plain(memory, []), Timeout) of
        {ok, Stats} ->
            Names = maps:from_list([{atom_to_binary(Name), Name} || Name <- ?FIGURES]),
            {ok, maps:from_list([{maps:get(Key, Names, Key), Value} || {Key, Value} <- maps:to_list(Stats)])};
        {error, Reason} ->
            {error, Reason}
    end.

%% @doc Has every host trace what it allocates, with that many frames of each traceback.
-spec trace(pos_integer(), timeout()) -> ok | {error, py_result:failure()}.
trace(Frames, Timeout) ->
    done(everywhere(py_request:call(tracemalloc, start, [Frames], #{}), Timeout)).

-spec no_trace(timeout()) -> ok | {error, py_result:failure()}.
no_trace(Timeout) ->
    done(everywhere(py_request:call(tracemalloc, stop, [], #{}), Timeout)).

-spec done({ok, [term()]} | {error, py_result:failure()}) -> ok | {error, py_result:failure()}.
done({ok, _}) -> ok;
done({error, Reason}) -> {error, Reason}.

-spec everywhere(py_request:request(), timeout()) -> {ok, [term()]} | {error, py_result:failure()}.
everywhere(Request, Timeout) ->
    Places =
        case py_contexts:hosts() of
            [_, _ | _] = Hosts -> [{host, Host} || Host <- Hosts];
            %% None is up yet, or it is the one.
            _ -> [any]
        end,
    Results = [py_request:perform(Place, Request, Timeout) || Place <- Places],
    case [Failure || {error, _} = Failure <- Results] of
        [] -> {ok, [Value || {ok, Value} <- Results]};
        [Failure | _] -> Failure
    end.
