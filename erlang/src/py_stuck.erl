%% @doc Tells contexts that wait for each other from contexts that are merely busy.
%%
%% A context whose Python thread waits for a registered function is no use to anybody until that function ends. When all of them wait
%% so, and their functions wait for a process that waits for a context, nothing will ever happen. What a process waits for cannot be
%% known in general, but much of it can be seen: who makes a call, as of gen_server, monitors whom it calls, and a function is linked to
%% what it has started so. Where nothing of the kind is seen it may be that a function only takes its time.
-module(py_stuck).

-export([look/1, runner/1, judge/3]).
-export_type([sight/0, standing/0]).

-opaque sight() :: [{pid(), term()}].
%% Which call of which function each of the contexts is at. Equal ones, some time apart: they have all been at it between.

%% Where {@link py_conversation} has a conversation while a registered function runs, and only then.
-define(KEY, '$py_conversation').

%% Where {@link py_handler} has the process that runs a function for a context.
-define(RUNNER, '$py_runner').

%% What they are at, and since when; or nothing that they could be stuck in.
-opaque standing() :: unclear | {sight(), Since :: integer()}.

%% Until contexts that stand still count as stuck, although nobody is seen to wait for those who want one, in ms. Less than a call's usual limit.
-define(STILL_FOR, 10000).
%% So many processes are looked at.
-define(MOST, 10000).

%% @doc Called again and again with all contexts and whom each works for, with who waits for one, and with what it said the last time: who
%% waits in vain.
-spec judge([{pid(), none | pid()}], [pid()], none | standing()) -> {look_again, standing()} | {refuse, all | [pid()]}.
judge(Contexts, Waiting, Before) ->
    case {look([Context || {Context, _} <- Contexts]), Before} of
        {{true, Sight}, {Sight, Since}} ->
            Runners = lists:reverse([Runner || {Runner, _} <- Sight]),
            judge_still(Sight, Since, waited_for(Runners, [Caller || {_, Caller} <- Contexts], Waiting));
        {{true, Sight}, _} ->
            {look_again, {Sight, erlang:monotonic_time(millisecond)}};
        {false, _} ->
            {look_again, unclear}
    end.

-spec judge_still(sight(), integer(), [pid()]) -> {look_again, standing()} | {refuse, all | [pid()]}.
judge_still(Sight, Since, []) ->
    case erlang:monotonic_time(millisecond) - Since < ?STILL_FOR of
        true -> {look_again, {Sight, Since}};
        false -> {refuse, all}
    end;
judge_still(_Sight, _Since, Stuck) ->
    {refuse, Stuck}.

%% @doc What these contexts wait for, when each of them waits for a function that waits itself.
-spec look([pid()]) -> {true, sight()} | false.
look(Contexts) ->
    look(Contexts, []).

%% @doc The process of the function that one context was seen to wait for.
-spec runner(sight()) -> pid().
runner([{Runner, _Conversation}]) ->
    Runner.

-spec look([pid()], sight()) -> {true, sight()} | false.
look([], Seen) ->
    {true, Seen};
look([Context | Contexts], Seen) ->
    case entry(Context, ?RUNNER) of
        {true, Runner} ->
            %% The dictionary last: a function's may be large.
            case is_waiting(Runner) andalso entry(Runner, ?KEY) of
                {true, Conversation} -> look(Contexts, [{Runner, Conversation} | Seen]);
                false -> false
            end;
        false ->
            false
    end.

%% One that sleeps wakes up by itself.
-spec is_waiting(pid()) -> boolean().
is_waiting(Pid) ->
    case process_info(Pid, [status, current_function]) of
        [{status, waiting}, {current_function, Function}] -> Function =/= {timer, sleep, 1};
        _ -> false
    end.

%% Those who wait for a context, when every function waits for one of them: directly, or for a process that waits for one, or for a context
%% whose function does, and so on. None when one function does not: it may end, and its context is theirs.
-spec waited_for([Runner :: pid()], [Caller :: none | pid()], [pid()]) -> [pid()].
waited_for(Runners, Callers, Waiting) ->
    Working = maps:from_list(lists:zip(Callers, Runners)),
    Found = [
        begin
            %% Not by way of this process: it watches all of them.
            Reached = reach(started(Runner) ++ called(Runner), Working, #{self() => true}),
            [Pid || Pid <- Waiting, is_map_key(Pid, Reached)]
        end || Runner <- Runners],
    case lists:member([], Found) of
        true -> [];
        false -> lists:usort(lists:append(Found))
    end.

-spec reach([pid()], #{none | pid() => pid()}, #{pid() => true}) -> #{pid() => true}.
reach([Pid | Pids], Working, Seen) when map_size(Seen) < ?MOST, not is_map_key(Pid, Seen) ->
    Next =
        case Working of
            #{Pid := Runner} -> [Runner | started(Runner)];
            #{} -> []
        end,
    reach(Pids, Working, reach(Next ++ called(Pid), Working, Seen#{Pid => true}));
reach([_ | Pids], Working, Seen) ->
    reach(Pids, Working, Seen);
reach([], _Working, Seen) ->
    Seen.

%% Whom a process waits for. A server between two requests waits for nobody, though it may watch many.
-spec called(pid()) -> [pid()].
called(Pid) ->
    case node(Pid) =:= node() andalso process_info(Pid, [current_function, monitors]) of
        [{current_function, {Module, loop, _}}, _] when Module =:= gen_server; Module =:= gen_statem -> [];
        [_, {monitors, Monitors}] -> lists:filtermap(fun monitored/1, Monitors);
        _ -> []
    end.

-spec monitored(term()) -> {true, pid()} | false.
monitored({process, Pid}) when is_pid(Pid) ->
    {true, Pid};
monitored({process, {Name, Node}}) when Node =:= node() ->
    case whereis(Name) of
        Pid when is_pid(Pid) -> {true, Pid};
        _ -> false
    end;
monitored(_) ->
    false.

%% But for the context's handler, which has started the function itself.
-spec started(pid()) -> [pid()].
started(Runner) ->
    case process_info(Runner, [links, parent]) of
        [{links, Links}, {parent, Parent}] -> [Pid || Pid <- Links, is_pid(Pid), Pid =/= Parent];
        undefined -> []
    end.

-spec entry(pid(), atom()) -> {true, term()} | false.
entry(Pid, Key) ->
    case process_info(Pid, dictionary) of
        {dictionary, Dictionary} ->
            case lists:keyfind(Key, 1, Dictionary) of
                {Key, Value} -> {true, Value};
                false -> false
            end;
        undefined ->
            false
    end.
