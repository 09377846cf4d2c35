%% @doc Which context does which call. Pure: each function takes what happened and gives what is to be done about it, which
%% {@link py_contexts} then does.
%%
%% A call goes to an idle context; when there is none it waits, and the set of contexts grows by one, up to the limit. While a
%% host starts calls wait for it; when its last start failed they fail at once.
%%
%% A call that nobody waits for any more is interrupted. Its context gets no other before both the call and the interrupt have been
%% answered: an interrupt that comes late would hit the wrong one.
-module(py_pool).

-export([new/1]).
-export([host/3, host_gone/2, joined/3, join_failed/3, ended/4]).
-export([submit/2, done/2, cancel/2, interrupt/2, interrupted/3, insist/3, give_up/3, refuse_waiting/2]).
-export([await/3, replace/2, resize/2, stop/1]).
-export([contexts/1, hosts/1, busy/2, full/1, stats/1, running/1]).
-export_type([pool/0, effect/0, request/0, where/0, host_state/0]).

-type host() :: pid().
-type context() :: pid().
-type where() :: any | {context, context()} | {host, host()}.
-type host_state() :: starting | up | {failed, Reason :: term()}.
-type request() :: #{
    key := reference(),
    from := gen_server:from(),
    where := where(),
    space := py_conversation:space(),
    payload := py_term:payload(),
    keep := boolean()
}.
-type effect() ::
    {send, context(), host(), request()}
    | {reply, request(), {down, term()} | interrupted | {max_contexts, pos_integer()}}
    | {over, request()}
    | {interrupt, context()}
    | {insist_later | kill_later, context(), Key :: reference()}
    | {ready, gen_server:from(), {ok, [context()]} | {down, term()}}
    | {grow, host()}
    | {grow_later, host()}
    | {kill, context()}.

-record(context, {
    host :: host(),
    number :: pos_integer(),
    request = none :: none | request(),
    %% Whether what it does is to stop: the host has been asked, and has answered.
    interrupt = none :: none | asked | answered,
    %% Whether it is to stop because nobody waits for it.
    cancelled = false :: boolean()
}).

-record(pool, {
    %% Hosts there should be, and contexts for each; none of these while stopped.
    configured :: non_neg_integer(),
    per_host :: pos_integer(),
    max :: pos_integer(),
    running = true :: boolean(),
    hosts = #{} :: #{host() => host_state()},
    joining = #{} :: #{host() => pos_integer()},
    contexts = #{} :: #{context() => #context{}},
    next = 1 :: pos_integer(),
    %% Last used first: its memory is the warmest.
    idle = [] :: [context()],
    waiting = [] :: [request()],
    awaiting = [] :: [{gen_server:from(), all | one}]
}).

-opaque pool() :: #pool{}.
-type result() :: {[effect()], pool()}.

-spec new(#{hosts := non_neg_integer(), contexts := pos_integer(), max_contexts := pos_integer(), _ => _}) -> pool().
new(#{hosts := Hosts, contexts := Contexts, max_contexts := Max}) ->
    #pool{configured = Hosts, per_host = Contexts, max = Max}.

%% Hosts

%% @doc A host is in another state now.
-spec host(host(), host_state(), pool()) -> result().
host(Host, State, #pool{hosts = Hosts, joining = Joining} = Pool) ->
    Pool1 = Pool#pool{hosts = Hosts#{Host => State}, joining = maps:remove(Host, Joining)},
    case State of
        up -> fill(Host, Pool1);
        _ -> settle(Pool1)
    end.

%% @doc The process of a host is no more; its successor has another pid.
-spec host_gone(host(), pool()) -> result().
host_gone(Host, #pool{hosts = Hosts, joining = Joining} = Pool) ->
    settle(Pool#pool{hosts = maps:remove(Host, Hosts), joining = maps:remove(Host, Joining)}).

%% @doc A context that was asked for is there.
-spec joined(context(), host(), pool()) -> result().
joined(Context, _Host, #pool{running = false} = Pool) ->
    {[{kill, Context}], Pool};
joined(Context, Host, #pool{contexts = Contexts, next = Next} = Pool) ->
    Pool1 = joined_or_not(Host, Pool),
    Added = Pool1#pool{contexts = Contexts#{Context => #context{host = Host, number = Next}}, next = Next + 1},
    {Effects, Pool2} = idle(Context, Added),
    {More, Pool3} = settle(Pool2),
    {Effects ++ More, Pool3}.

%% @doc A context that was asked for will not come.
-spec join_failed(host(), term(), pool()) -> result().
join_failed(Host, Reason, Pool) ->
    Pool1 = joined_or_not(Host, Pool),
    case {on(Host, Pool1), joining(Host, Pool1)} of
        {0, 0} ->
            %% Nobody is left to serve what waits for this host.
            Affected = lists:filter(fun is_free/1, Pool1#pool.waiting),
            {Effects, Pool2} = fail(Affected, Reason, Pool1),
            {Effects ++ [{ready, From, {down, Reason}} || {From, _} <- Pool2#pool.awaiting], Pool2#pool{awaiting = []}};
        _ ->
            settle(Pool1)
    end.

%% @doc A context has ended, for whatever reason; the call it did fails. One that it was given but has not begun (`unsent') goes to another.
-spec ended(context(), sent | unsent, term(), pool()) -> result().
ended(Context, Sent, Reason, #pool{contexts = Contexts, idle = Idle, waiting = Waiting} = Pool) ->
    case maps:take(Context, Contexts) of
        {#context{host = Host} = Ended, Rest} ->
            Own = [R || #{where := {context, C}} = R <- Waiting, C =:= Context],
            {Effects, Pool1} = fail(Own, Reason, Pool#pool{contexts = Rest, idle = lists:delete(Context, Idle)}),
            {More, Pool2} = left(Ended, Sent, Reason, Pool1),
            {Last, Pool3} = demand(Pool2),
            {Effects ++ More ++ [{grow_later, Host}] ++ Last, Pool3};
        error ->
            {[], Pool}
    end.

-spec left(#context{}, sent | unsent, term(), pool()) -> result().
left(#context{request = none}, _Sent, _Reason, Pool) ->
    {[], Pool};
left(#context{request = Request, interrupt = none}, unsent, Reason, Pool) ->
    case Request of
        #{where := {context, _}} -> {[refuse(Request, Reason)], Pool};
        _ -> submit(Request, Pool)
    end;
left(#context{request = Request, interrupt = none}, sent, Reason, Pool) ->
    {[refuse(Request, Reason)], Pool};
left(#context{request = Request}, _Sent, _Reason, Pool) ->
    {[{reply, Request, interrupted}], Pool}.

%% @doc Some time after a context has ended: makes up for it. Not at once, since one that cannot live would be made without end.
-spec replace(host(), pool()) -> result().
replace(Host, #pool{hosts = Hosts} = Pool) ->
    case Hosts of
        #{Host := up} -> fill(Host, Pool);
        #{} -> {[], Pool}
    end.

%% Calls

-spec submit(request(), pool()) -> result().
submit(#{where := {context, Context}} = Request, #pool{contexts = Contexts} = Pool) ->
    case Contexts of
        #{Context := #context{request = none, interrupt = none}} -> send(Context, Request, Pool);
        #{Context := _} -> {[], wait(Request, Pool)};
        #{} -> {[refuse(Request, no_such_context)], Pool}
    end;
submit(Request, Pool) ->
    case {find_idle(Request, Pool), prospect(Pool)} of
        {{ok, Context}, _} -> send(Context, Request, Pool);
        {none, {down, Reason}} -> {[refuse(Request, Reason)], Pool};
        {none, ok} -> demand(wait(Request, Pool))
    end.

%% @doc A context has answered.
-spec done(context(), pool()) -> result().
done(Context, #pool{contexts = Contexts} = Pool) ->
    case Contexts of
        #{Context := #context{request = none}} -> {[], Pool};
        #{Context := #context{request = Request} = Busy} ->
            {Effects, Pool1} = free(Context, Busy#context{request = none}, Pool),
            {[{over, Request} | Effects], Pool1};
        #{} -> {[], Pool}
    end.

%% @doc Nobody waits for that call any more. A context that is at it is interrupted, and given up when that does not help.
-spec cancel(reference(), pool()) -> result().
cancel(Key, #pool{waiting = Waiting, contexts = Contexts} = Pool) ->
    case [Context || {Context, #context{request = #{key := K}}} <- maps:to_list(Contexts), K =:= Key] of
        [Context] ->
            #{Context := Busy} = Contexts,
            {Effects, Pool1} = interrupt(Context, Pool#pool{contexts = Contexts#{Context := Busy#context{cancelled = true}}}),
            {Effects ++ [{kill_later, Context, Key}], Pool1};
        [] ->
            {Cancelled, Rest} = lists:partition(fun(#{key := K}) -> K =:= Key end, Waiting),
            {[{reply, Request, interrupted} || Request <- Cancelled], Pool#pool{waiting = Rest}}
    end.

%% @doc What that context does is to stop, if it does anything.
-spec interrupt(context(), pool()) -> result().
interrupt(Context, #pool{contexts = Contexts} = Pool) ->
    case Contexts of
        #{Context := #context{request = none}} -> {[], Pool};
        #{Context := #context{interrupt = asked}} -> {[], Pool};
        #{Context := Busy} ->
            {[{interrupt, Context}], Pool#pool{contexts = Contexts#{Context := Busy#context{interrupt = asked}}}};
        #{} -> {[], Pool}
    end.

%% @doc The host has answered an interrupt: it has hit something; or missed, as the call had not begun yet, or was over; or the host cannot do
%% such a thing. In any case it will not come any more.
-spec interrupted(context(), hit | missed | failed, pool()) -> result().
interrupted(Context, Answer, #pool{contexts = Contexts} = Pool) ->
    case Contexts of
        #{Context := #context{interrupt = asked} = Asked} ->
            {Effects, Pool1} = free(Context, Asked#context{interrupt = answered}, Pool),
            {persist(Context, Asked, Answer) ++ Effects, Pool1};
        #{} -> {[], Pool}
    end.

-spec persist(context(), #context{}, hit | missed | failed) -> [effect()].
persist(Context, #context{request = #{key := Key}, cancelled = true}, missed) -> [{insist_later, Context, Key}];
persist(Context, #context{request = #{}, cancelled = true}, failed) -> [{kill, Context}];
persist(_Context, _Asked, _Answer) -> [].

%% @doc Interrupts again what has not been hit.
-spec insist(context(), reference(), pool()) -> result().
insist(Context, Key, Pool) ->
    case is_at(Context, Key, Pool) of
        true -> interrupt(Context, Pool);
        false -> {[], Pool}
    end.

%% @doc Some time after a call was to stop: a context that is still at it cannot be trusted to be free soon, and goes.
-spec give_up(context(), reference(), pool()) -> result().
give_up(Context, Key, Pool) ->
    {[{kill, Context} || is_at(Context, Key, Pool)], Pool}.

%% @doc Those who wait for any context will not get one: all of them, or these processes.
-spec refuse_waiting(all | [pid()], pool()) -> result().
refuse_waiting(Which, #pool{waiting = Waiting, max = Max} = Pool) ->
    {Refused, Rest} = lists:partition(
        fun(#{from := {Pid, _}} = Request) -> is_free(Request) andalso (Which =:= all orelse lists:member(Pid, Which)) end, Waiting),
    {[{reply, Request, {max_contexts, Max}} || Request <- Refused], Pool#pool{waiting = Rest}}.

%% The set

%% @doc Has `From' told the contexts once all of them, or at least one, are there.
-spec await(gen_server:from(), all | one, pool()) -> result().
await(From, HowMany, #pool{awaiting = Awaiting} = Pool) ->
    settle(Pool#pool{awaiting = [{From, HowMany} | Awaiting]}).

%% @doc Starts the contexts, `Contexts' for each host; more than are there already.
-spec resize(default | pos_integer(), pool()) -> result().
resize(Contexts, #pool{per_host = PerHost, hosts = Hosts} = Pool) ->
    Wanted = case Contexts of default -> PerHost; _ -> Contexts end,
    Up = [Host || {Host, up} <- maps:to_list(Hosts)],
    lists:foldl(
        fun(Host, {Effects, P}) ->
            {More, P1} = fill(Host, P),
            {Effects ++ More, P1}
        end, {[], Pool#pool{running = true, per_host = Wanted}}, Up).

%% @doc Ends all contexts; calls fail until they are started again.
-spec stop(pool()) -> result().
stop(#pool{contexts = Contexts} = Pool) ->
    {Effects, Pool1} = settle(Pool#pool{running = false}),
    {Effects ++ [{kill, Context} || Context <- maps:keys(Contexts)], Pool1}.

%% Questions

%% @doc The contexts, the oldest first.
-spec contexts(pool()) -> [context()].
contexts(#pool{contexts = Contexts}) ->
    [Context || {_, Context} <- lists:sort([{Number, Context} || {Context, #context{number = Number}} <- maps:to_list(Contexts)])].

-spec running(pool()) -> boolean().
running(#pool{running = Running, contexts = Contexts}) ->
    Running andalso map_size(Contexts) > 0.

%% @doc The hosts that are up.
-spec hosts(pool()) -> [host()].
hosts(#pool{hosts = Hosts}) ->
    lists:sort([Host || {Host, up} <- maps:to_list(Hosts)]).

%% @doc Whether that context is at a call.
-spec busy(context(), pool()) -> boolean().
busy(Context, #pool{contexts = Contexts}) ->
    case Contexts of
        #{Context := #context{request = none}} -> false;
        #{Context := _} -> true;
        #{} -> false
    end.

-spec is_at(context(), reference(), pool()) -> boolean().
is_at(Context, Key, #pool{contexts = Contexts}) ->
    case Contexts of
        #{Context := #context{request = #{key := Key}}} -> true;
        #{} -> false
    end.

%% @doc All the contexts, each with whom it works for, and the processes that wait for one, when there may be no more of them. Not while one
%% is to stop: that will make room.
-spec full(pool()) -> {true, [{context(), none | pid()}], [pid()]} | false.
full(#pool{waiting = Waiting, contexts = Contexts, max = Max} = Pool) ->
    Free = [Pid || #{from := {Pid, _}} = Request <- Waiting, is_free(Request)],
    Full = Free =/= [] andalso map_size(Contexts) >= Max,
    case Full andalso not lists:any(fun(#context{cancelled = Cancelled}) -> Cancelled end, maps:values(Contexts)) of
        true -> {true, [{Context, works_for(map_get(Context, Contexts))} || Context <- contexts(Pool)], Free};
        false -> false
    end.

-spec works_for(#context{}) -> none | pid().
works_for(#context{request = #{from := {Pid, _}}}) -> Pid;
works_for(#context{request = none}) -> none.

-spec stats(pool()) -> #{atom() => non_neg_integer()}.
stats(#pool{contexts = Contexts, idle = Idle, waiting = Waiting, hosts = Hosts}) ->
    #{
        contexts => map_size(Contexts),
        contexts_idle => length(Idle),
        calls_waiting => length(Waiting),
        hosts => length([up || up <- maps:values(Hosts)])
    }.

%% Inside

%% A context whose call, and whose interrupt, are both behind it is idle.
-spec free(context(), #context{}, pool()) -> result().
free(Context, #context{request = none, interrupt = Interrupt} = Free, #pool{contexts = Contexts} = Pool) when Interrupt =/= asked ->
    idle(Context, Pool#pool{contexts = Contexts#{Context := Free#context{interrupt = none, cancelled = false}}});
free(Context, Busy, #pool{contexts = Contexts} = Pool) ->
    {[], Pool#pool{contexts = Contexts#{Context := Busy}}}.

-spec idle(context(), pool()) -> result().
idle(Context, #pool{waiting = Waiting, idle = Idle} = Pool) ->
    case take(fun(Request) -> suits(Request, Context, Pool) end, Waiting) of
        {Request, Rest} -> send(Context, Request, Pool#pool{waiting = Rest, idle = [Context | Idle]});
        none -> {[], Pool#pool{idle = [Context | Idle]}}
    end.

-spec send(context(), request(), pool()) -> result().
send(Context, Request, #pool{contexts = Contexts, idle = Idle} = Pool) ->
    #{Context := #context{host = Host} = Free} = Contexts,
    Busy = Contexts#{Context := Free#context{request = Request}},
    {[{send, Context, Host, Request}], Pool#pool{contexts = Busy, idle = lists:delete(Context, Idle)}}.

%% On the host that is least busy, as two calls in one Python take turns; there, the one last used.
-spec find_idle(request(), pool()) -> {ok, context()} | none.
find_idle(Request, #pool{idle = Idle, contexts = Contexts, hosts = Hosts} = Pool) ->
    case [Context || Context <- Idle, suits(Request, Context, Pool)] of
        [] -> none;
        [Context | _] when map_size(Hosts) =< 1 -> {ok, Context};
        Candidates -> {ok, least_busy([{host_of(Context, Pool), Context} || Context <- Candidates], Contexts)}
    end.

-spec least_busy([{host(), context()}], #{context() => #context{}}) -> context().
least_busy(Candidates, Contexts) ->
    Busy = lists:foldl(
        fun(#context{host = Host}, Counts) -> maps:update_with(Host, fun(N) -> N + 1 end, 1, Counts) end,
        #{}, [Context || #context{request = Request} = Context <- maps:values(Contexts), Request =/= none]),
    %% The first of those that are least.
    {_, _, Least} = lists:min([{maps:get(Host, Busy, 0), Place, Context} || {Place, {Host, Context}} <- lists:enumerate(Candidates)]),
    Least.

-spec host_of(context(), pool()) -> host().
host_of(Context, #pool{contexts = Contexts}) ->
    (map_get(Context, Contexts))#context.host.

-spec suits(request(), context(), pool()) -> boolean().
suits(#{where := any}, _Context, _Pool) -> true;
suits(#{where := {context, Wanted}}, Context, _Pool) -> Wanted =:= Context;
suits(#{where := {host, Host}}, Context, Pool) -> host_of(Context, Pool) =:= Host.

%% Arrival order is kept among those that suit; the list is short, as everyone on it waits.
-spec wait(request(), pool()) -> pool().
wait(Request, #pool{waiting = Waiting} = Pool) ->
    Pool#pool{waiting = Waiting ++ [Request]}.

%% Whether there is any point in waiting.
-spec prospect(pool()) -> ok | {down, term()}.
prospect(#pool{configured = 0}) ->
    {down, <<"no Python host is configured (setting hosts)">>};
prospect(#pool{running = false}) ->
    {down, <<"contexts are stopped (py:start_contexts/0 starts them)">>};
prospect(#pool{hosts = Hosts, configured = Configured}) ->
    case [Reason || {failed, Reason} <- maps:values(Hosts)] of
        [Reason | _] = Failed when length(Failed) >= Configured -> {down, Reason};
        _ -> ok
    end.

%% One more context on the host with the fewest, for every waiting call that none is coming for.
-spec demand(pool()) -> result().
demand(#pool{waiting = Waiting, hosts = Hosts} = Pool) ->
    Wanted = length(lists:filter(fun is_free/1, Waiting)),
    Up = lists:sort([{on(Host, Pool) + joining(Host, Pool), Host} || {Host, up} <- maps:to_list(Hosts)]),
    case {Wanted > joining(Pool) andalso room(Pool), Up} of
        {true, [{_, Host} | _]} -> grow(preferred(Waiting, Host, Hosts), Pool);
        _ -> {[], Pool}
    end.

-spec preferred([request()], host(), #{host() => host_state()}) -> host().
preferred(Waiting, Otherwise, Hosts) ->
    case lists:last(Waiting) of
        #{where := {host, Host}} when map_get(Host, Hosts) =:= up -> Host;
        _ -> Otherwise
    end.

-spec fill(host(), pool()) -> result().
fill(Host, #pool{per_host = PerHost, running = Running} = Pool) ->
    case Running andalso on(Host, Pool) + joining(Host, Pool) < PerHost andalso room(Pool) of
        true ->
            {Effects, Pool1} = grow(Host, Pool),
            {More, Pool2} = fill(Host, Pool1),
            {Effects ++ More, Pool2};
        false ->
            settle(Pool)
    end.

-spec grow(host(), pool()) -> result().
grow(Host, #pool{joining = Joining} = Pool) ->
    {[{grow, Host}], Pool#pool{joining = maps:update_with(Host, fun(N) -> N + 1 end, 1, Joining)}}.

%% Tells those who wait for what is decided now.
-spec settle(pool()) -> result().
settle(#pool{waiting = Waiting, awaiting = Awaiting} = Pool) ->
    case prospect(Pool) of
        {down, Reason} ->
            {Effects, Pool1} = fail(Waiting, Reason, Pool),
            {Effects ++ [{ready, From, {down, Reason}} || {From, _} <- Awaiting], Pool1#pool{awaiting = []}};
        ok ->
            {Ready, Not} = lists:partition(fun({_, HowMany}) -> ready(HowMany, Pool) end, Awaiting),
            {[{ready, From, {ok, contexts(Pool)}} || {From, _} <- Ready], Pool#pool{awaiting = Not}}
    end.

-spec ready(all | one, pool()) -> boolean().
ready(one, #pool{contexts = Contexts}) ->
    map_size(Contexts) > 0;
ready(all, #pool{contexts = Contexts, configured = Configured, per_host = PerHost, max = Max}) ->
    map_size(Contexts) >= min(Max, Configured * PerHost).

-spec fail([request()], term(), pool()) -> result().
fail(Requests, Reason, #pool{waiting = Waiting} = Pool) ->
    {[refuse(Request, Reason) || Request <- Requests], Pool#pool{waiting = Waiting -- Requests}}.

-spec refuse(request(), term()) -> effect().
refuse(Request, Reason) ->
    {reply, Request, {down, Reason}}.

%% Whether any context will do, on one host at least.
-spec is_free(request()) -> boolean().
is_free(#{where := {context, _}}) -> false;
is_free(_) -> true.

-spec joined_or_not(host(), pool()) -> pool().
joined_or_not(Host, #pool{joining = Joining} = Pool) ->
    case Joining of
        #{Host := 1} -> Pool#pool{joining = maps:remove(Host, Joining)};
        #{Host := N} -> Pool#pool{joining = Joining#{Host := N - 1}};
        #{} -> Pool
    end.

-spec on(host(), pool()) -> non_neg_integer().
on(Host, #pool{contexts = Contexts}) ->
    length([C || #context{host = H} = C <- maps:values(Contexts), H =:= Host]).

-spec joining(host(), pool()) -> non_neg_integer().
joining(Host, #pool{joining = Joining}) ->
    maps:get(Host, Joining, 0).

-spec joining(pool()) -> non_neg_integer().
joining(#pool{joining = Joining}) ->
    lists:sum(maps:values(Joining)).

-spec room(pool()) -> boolean().
room(#pool{contexts = Contexts, max = Max} = Pool) ->
    map_size(Contexts) + joining(Pool) < Max.

-spec take(fun((T) -> boolean()), [T]) -> {T, [T]} | none.
take(Suits, List) ->
    case lists:splitwith(fun(Item) -> not Suits(Item) end, List) of
        {_, []} -> none;
        {Before, [Item | After]} -> {Item, Before ++ After}
    end.
