%% @doc Python's calls of the node, from payload to payload: what is asked for, running it, and what
%% is answered.
-module(py_function).

-export([perform/2, cast/2, decode/2, fits/1, run/2, run/3, answer/2, answer/3, limits/0]).
-export_type([result/0]).

-include_lib("kernel/include/logger.hrl").

%% The setting max_heap_size leaves room for the term of any smaller payload.
-define(LARGE, 16#1000).

-type result() :: {ok, term()} | {error, py_failure:failure()}.

%% @doc Runs the function of a call's payload.
-spec perform(binary(), py_term:policy()) -> result().
perform(Payload, Policy) ->
    case decode(Payload, Policy) of
        {ok, {Target, Args}} -> run(Target, Args);
        {error, Failure} -> {error, Failure}
    end.

%% @doc The same for a cast. A failure is logged.
-spec cast(binary(), py_term:policy()) -> ok.
cast(Payload, Policy) ->
    case perform(Payload, Policy) of
        {ok, _} -> ok;
        {error, Failure} -> ?LOG_WARNING(#{what => py_cast_failed, failure => Failure})
    end.

%% @doc What a call or cast frame asks for.
-spec decode(binary(), py_term:policy()) -> {ok, {Target :: term(), Args :: term()}} | {error, py_failure:failure()}.
decode(Payload, Policy) ->
    case fits(Payload) of
        true -> pair(py_term:decode(Payload, Policy));
        false -> {error, py_failure:footprint(py_settings:get(max_heap_size))}
    end.

%% @doc Whether the heap of a function's process has room for the payload's term.
-spec fits(binary()) -> boolean().
fits(Payload) when byte_size(Payload) < ?LARGE -> true;
fits(Payload) -> py_footprint:fits(Payload, py_settings:get(max_heap_size)).

-spec pair({ok, term()} | {error, py_failure:failure()}) -> {ok, {Target :: term(), Args :: term()}} | {error, py_failure:failure()}.
pair({ok, {Target, Args}}) -> {ok, {Target, Args}};
pair({ok, _Other}) -> {error, py_failure:bad_term(<<"a call is a pair of a target and a list of arguments">>)};
pair({error, Failure}) -> {error, Failure}.

%% @doc Does what a call asks for. Never fails: whatever the registered function does short of
%% ending its process becomes an error.
-spec run(term(), term()) -> result().
run(Name, Args) when is_binary(Name), is_list(Args), length(Args) >= 0 ->
    run(py_registry:lookup(Name), Name, Args);
run(Target, Args) ->
    py_operation:run(Target, Args).

%% @doc The same for a function that has been looked up.
-spec run(py_registry:found(), binary(), [term()]) -> result().
run({ok, Target}, _Name, Args) -> apply_target(Target, Args);
run(error, Name, _Args) -> {error, py_failure:not_registered(Name)}.

%% @doc The kind and the payload of the frame that answers a call, within the limit.
-spec answer(result(), pos_integer()) -> {ok | error, py_term:payload()}.
answer({Kind, Term}, MaxFrame) ->
    case py_term:pieces(Term, MaxFrame) of
        {ok, Payload} -> {Kind, Payload};
        {error, Limit} -> shrunk(Kind, Term, Limit, MaxFrame, 0)
    end.

%% @doc The same in one piece, for a frame that holds so many bytes besides.
-spec answer(result(), pos_integer(), non_neg_integer()) -> {ok | error, binary()}.
answer({Kind, Term}, MaxFrame, Besides) ->
    case py_term:encode(Term, MaxFrame, Besides) of
        {ok, Payload} -> {Kind, Payload};
        {error, Limit} -> shrunk(Kind, Term, Limit, MaxFrame, Besides)
    end.

-spec shrunk(ok | error, term(), {limit, binary()}, pos_integer(), non_neg_integer()) -> {error, binary()}.
shrunk(Kind, Term, Limit, MaxFrame, Besides) ->
    {ok, Payload} = py_term:encode(py_failure:shrink(Kind, Term, Limit), MaxFrame, Besides),
    {error, Payload}.

%% @doc Spawn options of a function's process. The emulator kills it beyond the limit and logs that.
-spec limits() -> [{max_heap_size, #{size := pos_integer(), kill := true, error_logger := true}}].
limits() ->
    case py_settings:get(max_heap_size) of
        infinity -> [];
        Words -> [{max_heap_size, #{size => Words, kill => true, error_logger => true}}]
    end.

-spec apply_target(py_registry:target(), [term()]) -> result().
apply_target(Target, Args) ->
    try
        {ok, invoke(Target, Args)}
    catch
        Class:Reason:Stack -> {error, py_failure:raised(Class, Reason, Stack)}
    end.

-spec invoke(py_registry:target(), [term()]) -> term().
invoke({Module, Function}, Args) -> Module:Function(Args);
invoke(Fun, Args) -> Fun(Args).
