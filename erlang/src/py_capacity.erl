%% @doc The hosts, and the limits of the set of contexts. Pure; {@link py_pool} keeps it, and knows
%% the contexts themselves.
-module(py_capacity).

-export([new/1, host/3, host_gone/2, start/2, stop/1]).
-export([asked/2, answered/2, joining/1, joining/2]).
-export([up/1, is_up/2, running/1, max/1, all/1, room/2, lacks/4, prospect/1]).
-export_type([capacity/0, host_state/0]).

-type host() :: pid().
-type host_state() :: starting | up | {failed, Reason :: term()}.

-record(capacity, {
    %% The settings `hosts', `contexts' and `max_contexts'; no context while stopped.
    configured :: non_neg_integer(),
    per_host :: pos_integer(),
    max :: pos_integer(),
    running = true :: boolean(),
    hosts = #{} :: #{host() => host_state()},
    %% Contexts asked for and not connected yet.
    joining = #{} :: #{host() => pos_integer()}
}).

-opaque capacity() :: #capacity{}.

-spec new(#{hosts := non_neg_integer(), contexts := pos_integer(), max_contexts := pos_integer(), _ => _}) -> capacity().
new(#{hosts := Hosts, contexts := Contexts, max_contexts := Max}) ->
    #capacity{configured = Hosts, per_host = Contexts, max = Max}.

%% @doc A host is in another state now. Contexts asked for before will not come.
-spec host(host(), host_state(), capacity()) -> capacity().
host(Host, State, #capacity{hosts = Hosts, joining = Joining} = Capacity) ->
    Capacity#capacity{hosts = Hosts#{Host => State}, joining = maps:remove(Host, Joining)}.

%% @doc The process of a host has ended; its successor has another pid.
-spec host_gone(host(), capacity()) -> capacity().
host_gone(Host, #capacity{hosts = Hosts, joining = Joining} = Capacity) ->
    Capacity#capacity{hosts = maps:remove(Host, Hosts), joining = maps:remove(Host, Joining)}.

%% @doc Contexts may run, the given number for each host.
-spec start(default | pos_integer(), capacity()) -> capacity().
start(default, Capacity) -> Capacity#capacity{running = true};
start(PerHost, Capacity) -> Capacity#capacity{running = true, per_host = PerHost}.

-spec stop(capacity()) -> capacity().
stop(Capacity) ->
    Capacity#capacity{running = false}.

%% @doc A host is asked for one more context.
-spec asked(host(), capacity()) -> capacity().
asked(Host, #capacity{joining = Joining} = Capacity) ->
    Capacity#capacity{joining = maps:update_with(Host, fun(N) -> N + 1 end, 1, Joining)}.

%% @doc A context asked for has connected, or will not do so.
-spec answered(host(), capacity()) -> capacity().
answered(Host, #capacity{joining = Joining} = Capacity) ->
    case Joining of
        #{Host := 1} -> Capacity#capacity{joining = maps:remove(Host, Joining)};
        #{Host := N} -> Capacity#capacity{joining = Joining#{Host := N - 1}};
        #{} -> Capacity
    end.

%% @doc The number of contexts asked for: of all hosts, or of one.
-spec joining(capacity()) -> non_neg_integer().
joining(#capacity{joining = Joining}) ->
    lists:sum(maps:values(Joining)).

-spec joining(host(), capacity()) -> non_neg_integer().
joining(Host, #capacity{joining = Joining}) ->
    maps:get(Host, Joining, 0).

%% @doc The running hosts.
-spec up(capacity()) -> [host()].
up(#capacity{hosts = Hosts}) ->
    [Host || {Host, up} <- maps:to_list(Hosts)].

-spec is_up(host(), capacity()) -> boolean().
is_up(Host, #capacity{hosts = Hosts}) ->
    maps:get(Host, Hosts, starting) =:= up.

-spec running(capacity()) -> boolean().
running(#capacity{running = Running}) ->
    Running.

-spec max(capacity()) -> pos_integer().
max(#capacity{max = Max}) ->
    Max.

%% @doc How many contexts there are once all hosts are up.
-spec all(capacity()) -> non_neg_integer().
all(#capacity{configured = Configured, per_host = PerHost, max = Max}) ->
    min(Max, Configured * PerHost).

%% @doc Whether there may be one more context than these.
-spec room(non_neg_integer(), capacity()) -> boolean().
room(Count, #capacity{max = Max} = Capacity) ->
    Count + joining(Capacity) < Max.

%% @doc Whether a host with `On' contexts, of `Count' in all, should get one more.
-spec lacks(host(), non_neg_integer(), non_neg_integer(), capacity()) -> boolean().
lacks(Host, On, Count, #capacity{per_host = PerHost, running = Running} = Capacity) ->
    Running andalso On + joining(Host, Capacity) < PerHost andalso room(Count, Capacity).

%% @doc Whether a waiting call may be served at all.
-spec prospect(capacity()) -> ok | {down, term()}.
prospect(#capacity{configured = 0}) ->
    {down, <<"no Python host is configured (setting hosts)">>};
prospect(#capacity{running = false}) ->
    {down, <<"contexts are stopped (py:start_contexts/0 starts them)">>};
prospect(#capacity{hosts = Hosts, configured = Configured}) ->
    case [Reason || {failed, Reason} <- maps:values(Hosts)] of
        [Reason | _] = Failed when length(Failed) >= Configured -> {down, Reason};
        _ -> ok
    end.
