%% @doc Assigns calls to contexts. Pure: each function takes an event, and returns effects for
%% {@link py_contexts}.
%%
%% A call goes to an idle context; when there is none it waits, and the set of contexts grows by
%% one, up to the limit. While a host starts calls wait for it; when its last start failed they fail
%% at once.
%%
%% A cancelled call is interrupted. Its context gets no other before both the call and the interrupt
%% have been answered: a late interrupt would hit the wrong one.
-module(py_pool).

-export([new/1]).
-export([host/3, host_gone/2, joined/3, join_failed/3, ended/4]).
-export([submit/2, done/2, cancel/2, interrupt/3, interrupted/3, insist/3, give_up/3, refuse/2]).
-export([await/3, replace/1, resize/2, stop/1]).
-export([contexts/1, hosts/1, full/1, stats/1, running/1]).
-export_type([pool/0, effect/0, request/0, where/0]).

-type host() :: pid().
-type context() :: pid().
-type where() :: py_queue:lane().
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
    | {told, gen_server:from(), Hit :: boolean()}
    | {insist_later | kill_later | kill_soon, context(), stop()}
    | {ready, gen_server:from(), {ok, [context()]} | {down, term()}}
    | {grow, host()}
    | grow_later
    | {kill, context()}.

%% The number of one attempt to stop a context.
-type stop() :: pos_integer().

-record(context, {
    host :: host(),
    number :: pos_integer(),
    request = none :: none | request(),
    %% The attempt to stop it, until it is idle again; and the host's answer to the last interrupt.
    stop = none :: none | stop(),
    interrupt = none :: none | asked | hit | missed,
    %% Callers of `py:interrupt/1', until an interrupt hits or the call is over.
    interrupters = [] :: [gen_server:from()],
    %% Never handed out again: it is killed, or its host is lost.
    retired = false :: boolean()
}).

-record(pool, {
    capacity :: py_capacity:capacity(),
    contexts = #{} :: #{context() => #context{}},
    %% The next context's number, and the next attempt's.
    next = 1 :: pos_integer(),
    next_stop = 1 :: stop(),
    %% Last used first: its memory is the warmest.
    idle = [] :: [context()],
    waiting = py_queue:new() :: py_queue:queue(),
    awaiting = [] :: [{gen_server:from(), all | one}]
}).

-opaque pool() :: #pool{}.
-type result() :: {[effect()], pool()}.

-spec new(#{hosts := non_neg_integer(), contexts := pos_integer(), max_contexts := pos_integer(), _ => _}) -> pool().
new(Settings) ->
    #pool{capacity = py_capacity:new(Settings)}.

%% Hosts

%% @doc A host is in another state now.
-spec host(host(), py_capacity:host_state(), pool()) -> result().
host(Host, State, #pool{capacity = Capacity} = Pool) ->
    Pool1 = Pool#pool{capacity = py_capacity:host(Host, State, Capacity)},
    case State of
        up -> fill(Host, Pool1);
        _ -> lost(Host, Pool1)
    end.

%% @doc The process of a host has ended; its successor has another pid.
-spec host_gone(host(), pool()) -> result().
host_gone(Host, #pool{capacity = Capacity} = Pool) ->
    lost(Host, Pool#pool{capacity = py_capacity:host_gone(Host, Capacity)}).

%% The namespaces are lost, so any host may serve the calls in its lane. Its contexts end soon, or
%% are killed.
-spec lost(host(), pool()) -> result().
lost(Host, #pool{waiting = Waiting, contexts = Contexts} = Pool) ->
    Pool1 = Pool#pool{waiting = py_queue:move({host, Host}, any, Waiting)},
    Lost = [Context || {Context, #context{host = On}} <- maps:to_list(Contexts), On =:= Host],
    each(Lost, fun retire/2, fun(Pool2) -> then(fun demand/1, settle(Pool2)) end, Pool1).

-spec retire(context(), pool()) -> result().
retire(Context, #pool{contexts = Contexts, idle = Idle} = Pool) ->
    #{Context := Known} = Contexts,
    {Effects, Retired, Pool1} = begin_stop(kill_soon, Context, Known#context{retired = true, stop = none}, Pool),
    {Effects, Pool1#pool{contexts = Contexts#{Context := Retired}, idle = lists:delete(Context, Idle)}}.

%% @doc A new context has connected.
-spec joined(context(), host(), pool()) -> result().
joined(Context, Host, #pool{capacity = Capacity, contexts = Contexts, next = Next} = Pool) ->
    Pool1 = Pool#pool{capacity = py_capacity:answered(Host, Capacity)},
    case py_capacity:running(Capacity) of
        true ->
            Added = Pool1#pool{contexts = Contexts#{Context => #context{host = Host, number = Next}}, next = Next + 1},
            then(fun settle/1, idle(Context, Added));
        false ->
            {[{kill, Context}], Pool1}
    end.

%% @doc A new context will not connect.
-spec join_failed(host(), term(), pool()) -> result().
join_failed(Host, Reason, #pool{capacity = Capacity, contexts = Contexts, awaiting = Awaiting} = Pool) ->
    Capacity1 = py_capacity:answered(Host, Capacity),
    Pool1 = Pool#pool{capacity = Capacity1},
    case {here_or_coming(Host, Pool1), map_size(Contexts) + py_capacity:joining(Capacity1)} of
        {0, 0} ->
            {Effects, Pool2} = fail(free_lanes(Pool1), Reason, Pool1),
            {Effects ++ [{ready, From, {down, Reason}} || {From, _} <- Awaiting], Pool2#pool{awaiting = []}};
        {0, _} ->
            then(fun settle/1, fail([{host, Host}], Reason, Pool1));
        _ ->
            settle(Pool1)
    end.

%% @doc A context has ended; its call fails. A call not yet begun (`unsent') goes to another
%% context.
-spec ended(context(), sent | unsent, term(), pool()) -> result().
ended(Context, Sent, Reason, #pool{contexts = Contexts, idle = Idle} = Pool) ->
    case maps:take(Context, Contexts) of
        {#context{interrupters = Interrupters} = Ended, Rest} ->
            {Effects, Pool1} = fail([{context, Context}], Reason, Pool#pool{contexts = Rest, idle = lists:delete(Context, Idle)}),
            {More, Pool2} = left(Ended, Sent, Reason, Pool1),
            {Last, Pool3} = demand(Pool2),
            {[{told, From, true} || From <- Interrupters] ++ Effects ++ More ++ [grow_later] ++ Last, Pool3};
        error ->
            {[], Pool}
    end.

-spec left(#context{}, sent | unsent, term(), pool()) -> result().
left(#context{request = none}, _Sent, _Reason, Pool) ->
    {[], Pool};
left(#context{request = Request, interrupt = none}, unsent, Reason, Pool) ->
    case Request of
        #{where := {context, _}} -> {[{reply, Request, {down, Reason}}], Pool};
        _ -> submit(Request, Pool)
    end;
left(#context{request = Request, interrupt = none}, sent, Reason, Pool) ->
    {[{reply, Request, {down, Reason}}], Pool};
left(#context{request = Request}, _Sent, _Reason, Pool) ->
    {[{reply, Request, interrupted}], Pool}.

%% @doc Makes up for ended contexts. It is called some time after the end, so a context with no
%% chance to live is not made again and again without a pause. A call for a host that has no context
%% even then, for want of room, is refused: it would wait for others to end.
-spec replace(pool()) -> result().
replace(Pool) ->
    each(hosts(Pool), fun fill/2, fun(P) -> then(fun(Q) -> refuse_lanes(stranded(Q), Q) end, settle(P)) end, Pool).

%% Calls

-spec submit(request(), pool()) -> result().
submit(#{where := {context, Context}} = Request, #pool{contexts = Contexts} = Pool) ->
    case Contexts of
        #{Context := #context{request = none, interrupt = none, retired = false}} -> send(Context, Request, Pool);
        #{Context := _} -> {[], wait(Request, Pool)};
        #{} -> {[{reply, Request, {down, no_such_context}}], Pool}
    end;
submit(#{where := {host, Host}} = Request, #pool{capacity = Capacity} = Pool) ->
    case py_capacity:is_up(Host, Capacity) of
        true -> submit_free(Request, Pool);
        false -> submit_free(Request#{where := any}, Pool)
    end;
submit(Request, Pool) ->
    submit_free(Request, Pool).

-spec submit_free(request(), pool()) -> result().
submit_free(Request, #pool{capacity = Capacity} = Pool) ->
    case {find_idle(Request, Pool), py_capacity:prospect(Capacity)} of
        {{ok, Context}, _} -> send(Context, Request, Pool);
        {none, {down, Reason}} -> {[{reply, Request, {down, Reason}}], Pool};
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

%% @doc The call's owner is gone, or its time is over. Its context is interrupted.
-spec cancel(reference(), pool()) -> result().
cancel(Key, #pool{waiting = Waiting, contexts = Contexts} = Pool) ->
    case py_queue:remove(Key, Waiting) of
        {Request, Rest} ->
            {[{reply, Request, interrupted}], Pool#pool{waiting = Rest}};
        none ->
            case [Context || {Context, #context{request = #{key := K}}} <- maps:to_list(Contexts), K =:= Key] of
                [Context] -> ask(Context, map_get(Context, Contexts), Pool);
                [] -> {[], Pool}
            end
    end.

%% @doc Interrupts the call of a context. `From' is told whether an interrupt has hit it.
-spec interrupt(context(), gen_server:from(), pool()) -> result().
interrupt(Context, From, #pool{contexts = Contexts} = Pool) ->
    case Contexts of
        #{Context := #context{request = Request, interrupters = Interrupters} = Busy} when Request =/= none ->
            ask(Context, Busy#context{interrupters = [From | Interrupters]}, Pool);
        #{} ->
            {[{told, From, false}], Pool}
    end.

%% Asks the host to interrupt it, unless an answer is outstanding.
-spec ask(context(), #context{}, pool()) -> result().
ask(Context, #context{interrupt = asked} = Busy, #pool{contexts = Contexts} = Pool) ->
    {[], Pool#pool{contexts = Contexts#{Context := Busy}}};
ask(Context, Busy, #pool{contexts = Contexts} = Pool) ->
    {Effects, Asked, Pool1} = begin_stop(kill_later, Context, Busy#context{interrupt = asked}, Pool),
    {[{interrupt, Context} | Effects], Pool1#pool{contexts = Contexts#{Context := Asked}}}.

%% The first attempt sets the time to give it up.
-spec begin_stop(kill_later | kill_soon, context(), #context{}, pool()) -> {[effect()], #context{}, pool()}.
begin_stop(When, Context, #context{stop = none} = Known, #pool{next_stop = Stop} = Pool) ->
    {[{When, Context, Stop}], Known#context{stop = Stop}, Pool#pool{next_stop = Stop + 1}};
begin_stop(_When, _Context, Known, Pool) ->
    {[], Known, Pool}.

%% @doc The host has answered an interrupt: it has hit the call; or missed, as the call had not
%% begun yet, or was over; or the host has failed. In any case this interrupt will not come later.
-spec interrupted(context(), hit | missed | failed, pool()) -> result().
interrupted(Context, Answer, #pool{contexts = Contexts} = Pool) ->
    case {Contexts, Answer} of
        {#{Context := #context{interrupt = asked, interrupters = Interrupters} = Asked}, hit} ->
            {Effects, Pool1} = free(Context, Asked#context{interrupt = hit, interrupters = []}, Pool),
            {[{told, From, true} || From <- Interrupters] ++ Effects, Pool1};
        {#{Context := #context{interrupt = asked, request = none} = Asked}, _} ->
            free(Context, Asked#context{interrupt = missed}, Pool);
        {#{Context := #context{interrupt = asked, stop = Stop} = Asked}, missed} ->
            {[{insist_later, Context, Stop}], Pool#pool{contexts = Contexts#{Context := Asked#context{interrupt = missed}}}};
        {#{Context := #context{interrupt = asked}}, failed} ->
            kill(Context, Pool);
        _ ->
            {[], Pool}
    end.

%% @doc Interrupts again after a miss: the call has begun meanwhile, or is over.
-spec insist(context(), stop(), pool()) -> result().
insist(Context, Stop, #pool{contexts = Contexts} = Pool) ->
    case Contexts of
        #{Context := #context{stop = Stop, interrupt = missed} = Busy} -> ask(Context, Busy, Pool);
        #{} -> {[], Pool}
    end.

%% @doc Kills a context when the time to stop is over.
-spec give_up(context(), stop(), pool()) -> result().
give_up(Context, Stop, #pool{contexts = Contexts} = Pool) ->
    case Contexts of
        #{Context := #context{stop = Stop}} -> kill(Context, Pool);
        #{} -> {[], Pool}
    end.

%% It may still answer; it gets no other call.
-spec kill(context(), pool()) -> result().
kill(Context, #pool{contexts = Contexts, idle = Idle} = Pool) ->
    #{Context := Known} = Contexts,
    {[{kill, Context}], Pool#pool{contexts = Contexts#{Context := Known#context{retired = true}}, idle = lists:delete(Context, Idle)}}.

%% @doc Refuses each call without a context outside this list to serve it.
-spec refuse([context()], pool()) -> result().
refuse(Stuck, #pool{contexts = Contexts} = Pool) ->
    Moving = maps:without(Stuck, Contexts),
    Lanes =
        case map_size(Moving) of
            0 -> free_lanes(Pool);
            _ -> free_lanes(Pool) -- [any | [{host, Host} || #context{host = Host} <- maps:values(Moving)]]
        end,
    refuse_lanes(Lanes, Pool).

%% The set

%% @doc Tells `From' the contexts once all of them, or at least one, are there.
-spec await(gen_server:from(), all | one, pool()) -> result().
await(From, HowMany, #pool{awaiting = Awaiting} = Pool) ->
    settle(Pool#pool{awaiting = [{From, HowMany} | Awaiting]}).

%% @doc Starts the contexts, `Contexts' for each host; more than are there already.
-spec resize(default | pos_integer(), pool()) -> result().
resize(Contexts, #pool{capacity = Capacity} = Pool) ->
    replace(Pool#pool{capacity = py_capacity:start(Contexts, Capacity)}).

%% @doc Ends all contexts; calls fail until they are started again.
-spec stop(pool()) -> result().
stop(#pool{contexts = Contexts, capacity = Capacity} = Pool) ->
    each(maps:keys(Contexts), fun kill/2, fun settle/1, Pool#pool{capacity = py_capacity:stop(Capacity)}).

%% Questions

%% @doc The contexts, the oldest first.
-spec contexts(pool()) -> [context()].
contexts(#pool{contexts = Contexts}) ->
    Numbers = [{Number, Context} || {Context, #context{number = Number, retired = false}} <- maps:to_list(Contexts)],
    [Context || {_, Context} <- lists:sort(Numbers)].

-spec running(pool()) -> boolean().
running(#pool{capacity = Capacity} = Pool) ->
    py_capacity:running(Capacity) andalso contexts(Pool) =/= [].

%% @doc The running hosts.
-spec hosts(pool()) -> [host()].
hosts(#pool{capacity = Capacity}) ->
    py_capacity:up(Capacity).

%% @doc Whether calls wait for a context, and no more contexts come.
-spec full(pool()) -> boolean().
full(#pool{waiting = Waiting, contexts = Contexts, capacity = Capacity}) ->
    py_queue:free(Waiting) > 0 andalso py_capacity:joining(Capacity) =:= 0 andalso map_size(Contexts) > 0.

-spec stats(pool()) -> #{atom() => non_neg_integer()}.
stats(#pool{contexts = Contexts, idle = Idle, waiting = Waiting} = Pool) ->
    #{
        contexts => map_size(Contexts),
        contexts_idle => length(Idle),
        calls_waiting => py_queue:size(Waiting),
        hosts => length(hosts(Pool))
    }.

%% Inside

%% The effects of one step, and then of the next.
-spec then(fun((pool()) -> result()), result()) -> result().
then(Next, {Effects, Pool}) ->
    {More, Pool1} = Next(Pool),
    {Effects ++ More, Pool1}.

-spec each([T], fun((T, pool()) -> result()), fun((pool()) -> result()), pool()) -> result().
each(List, Change, Finally, Pool) ->
    then(Finally, lists:foldl(fun(Item, Result) -> then(fun(P) -> Change(Item, P) end, Result) end, {[], Pool}, List)).

%% A context is idle after both its call and its interrupt have been answered.
-spec free(context(), #context{}, pool()) -> result().
free(Context, #context{request = none, interrupt = Interrupt, interrupters = Interrupters, retired = false} = Free, Pool) when Interrupt =/= asked ->
    #pool{contexts = Contexts} = Pool,
    Idle = Free#context{stop = none, interrupt = none, interrupters = []},
    {Effects, Pool1} = idle(Context, Pool#pool{contexts = Contexts#{Context := Idle}}),
    {[{told, From, false} || From <- Interrupters] ++ Effects, Pool1};
free(Context, Busy, #pool{contexts = Contexts} = Pool) ->
    {[], Pool#pool{contexts = Contexts#{Context := Busy}}}.

-spec idle(context(), pool()) -> result().
idle(Context, #pool{waiting = Waiting, idle = Idle} = Pool) ->
    case py_queue:take([any, {context, Context}, {host, host_of(Context, Pool)}], Waiting) of
        {Request, Rest} -> send(Context, Request, Pool#pool{waiting = Rest});
        none -> {[], Pool#pool{idle = [Context | Idle]}}
    end.

-spec send(context(), request(), pool()) -> result().
send(Context, Request, #pool{contexts = Contexts, idle = Idle} = Pool) ->
    #{Context := #context{host = Host} = Free} = Contexts,
    Busy = Contexts#{Context := Free#context{request = Request}},
    {[{send, Context, Host, Request}], Pool#pool{contexts = Busy, idle = lists:delete(Context, Idle)}}.

%% Takes the context last used, on the least busy host: two calls in one Python take turns.
-spec find_idle(request(), pool()) -> {ok, context()} | none.
find_idle(Request, #pool{idle = Idle, contexts = Contexts} = Pool) ->
    case {[Context || Context <- Idle, suits(Request, Context, Pool)], hosts(Pool)} of
        {[], _} -> none;
        {[Context | _], [_]} -> {ok, Context};
        {Candidates, _} -> {ok, least_busy([{host_of(Context, Pool), Context} || Context <- Candidates], Contexts)}
    end.

-spec least_busy([{host(), context()}], #{context() => #context{}}) -> context().
least_busy(Candidates, Contexts) ->
    Busy = lists:foldl(
        fun(#context{host = Host}, Counts) -> maps:update_with(Host, fun(N) -> N + 1 end, 1, Counts) end,
        #{}, [Context || #context{request = Request} = Context <- maps:values(Contexts), Request =/= none]),
    %% The first of the least busy ones.
    {_, _, Least} = lists:min([{maps:get(Host, Busy, 0), Place, Context} || {Place, {Host, Context}} <- lists:enumerate(Candidates)]),
    Least.

-spec host_of(context(), pool()) -> host().
host_of(Context, #pool{contexts = Contexts}) ->
    (map_get(Context, Contexts))#context.host.

-spec suits(request(), context(), pool()) -> boolean().
suits(#{where := any}, _Context, _Pool) -> true;
suits(#{where := {host, Host}}, Context, Pool) -> host_of(Context, Pool) =:= Host.

-spec wait(request(), pool()) -> pool().
wait(Request, #pool{waiting = Waiting} = Pool) ->
    Pool#pool{waiting = py_queue:add(Request, Waiting)}.

%% Grows by one context when more calls wait than contexts come. A host without a context may be
%% about to end, and its calls move to others then: replace/1 decides a moment later.
-spec demand(pool()) -> result().
demand(#pool{waiting = Waiting, contexts = Contexts, capacity = Capacity} = Pool) ->
    case py_queue:free(Waiting) > 0 of
        true ->
            {Effects, Pool1} = case py_capacity:room(map_size(Contexts), Capacity) of true -> grow_for(Waiting, Pool); false -> {[], Pool} end,
            {Effects ++ [grow_later || stranded(Pool1) =/= []], Pool1};
        false ->
            {[], Pool}
    end.

%% The lanes of hosts with no context, and none to come.
-spec stranded(pool()) -> [py_queue:lane()].
stranded(#pool{waiting = Waiting} = Pool) ->
    [Lane || {host, Host} = Lane <- py_queue:lanes(Waiting), here_or_coming(Host, Pool) =:= 0].

%% Grows on a host with calls in its lane, or else on any; of several, on the host with the fewest
%% contexts.
-spec grow_for(py_queue:queue(), pool()) -> result().
grow_for(Waiting, #pool{capacity = Capacity} = Pool) ->
    Up = py_capacity:up(Capacity),
    Short = [Host || Host <- Up, py_queue:size({host, Host}, Waiting) > py_capacity:joining(Host, Capacity)],
    case {Short, py_queue:free(Waiting) > py_capacity:joining(Capacity)} of
        {[_ | _], _} -> grow(emptiest(Short, Pool), Pool);
        {[], true} when Up =/= [] -> grow(emptiest(Up, Pool), Pool);
        {[], _} -> {[], Pool}
    end.

-spec emptiest([host(), ...], pool()) -> host().
emptiest(Hosts, Pool) ->
    element(2, lists:min([{here_or_coming(Host, Pool), Host} || Host <- Hosts])).

-spec fill(host(), pool()) -> result().
fill(Host, #pool{capacity = Capacity, contexts = Contexts} = Pool) ->
    case py_capacity:lacks(Host, on(Host, Pool), map_size(Contexts), Capacity) of
        true -> then(fun(P) -> fill(Host, P) end, grow(Host, Pool));
        false -> settle(Pool)
    end.

-spec grow(host(), pool()) -> result().
grow(Host, #pool{capacity = Capacity} = Pool) ->
    {[{grow, Host}], Pool#pool{capacity = py_capacity:asked(Host, Capacity)}}.

%% Answers the waiting callers whose fate is decided now.
-spec settle(pool()) -> result().
settle(#pool{awaiting = Awaiting, capacity = Capacity} = Pool) ->
    case py_capacity:prospect(Capacity) of
        {down, Reason} ->
            {Effects, Pool1} = fail(py_queue:lanes(Pool#pool.waiting), Reason, Pool),
            {Effects ++ [{ready, From, {down, Reason}} || {From, _} <- Awaiting], Pool1#pool{awaiting = []}};
        ok ->
            {Ready, Not} = lists:partition(fun({_, HowMany}) -> ready(HowMany, Pool) end, Awaiting),
            {[{ready, From, {ok, contexts(Pool)}} || {From, _} <- Ready], Pool#pool{awaiting = Not}}
    end.

-spec ready(all | one, pool()) -> boolean().
ready(one, Pool) ->
    contexts(Pool) =/= [];
ready(all, #pool{capacity = Capacity} = Pool) ->
    length(contexts(Pool)) >= py_capacity:all(Capacity).

-spec fail([py_queue:lane()], term(), pool()) -> result().
fail(Lanes, Reason, Pool) ->
    answer(Lanes, {down, Reason}, Pool).

-spec refuse_lanes([py_queue:lane()], pool()) -> result().
refuse_lanes(Lanes, #pool{capacity = Capacity} = Pool) ->
    answer(Lanes, {max_contexts, py_capacity:max(Capacity)}, Pool).

%% The same answer for all calls of these lanes.
-spec answer([py_queue:lane()], {down, term()} | {max_contexts, pos_integer()}, pool()) -> result().
answer(Lanes, Answer, #pool{waiting = Waiting} = Pool) ->
    {Requests, Rest} = py_queue:drain(Lanes, Waiting),
    {[{reply, Request, Answer} || Request <- Requests], Pool#pool{waiting = Rest}}.

%% The lanes for a new context.
-spec free_lanes(pool()) -> [py_queue:lane()].
free_lanes(#pool{waiting = Waiting}) ->
    [Lane || Lane <- py_queue:lanes(Waiting), Lane =:= any orelse element(1, Lane) =:= host].

-spec on(host(), pool()) -> non_neg_integer().
on(Host, #pool{contexts = Contexts}) ->
    length([C || #context{host = H} = C <- maps:values(Contexts), H =:= Host]).

-spec here_or_coming(host(), pool()) -> non_neg_integer().
here_or_coming(Host, #pool{capacity = Capacity} = Pool) ->
    on(Host, Pool) + py_capacity:joining(Host, Capacity).
