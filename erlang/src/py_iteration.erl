%% @doc Python's iterables for Erlang: as a list, or item by item as messages.
-module(py_iteration).

-export([collect/1, start/2]).
-export_type([options/0]).

-type options() :: #{owner => pid(), term() => term()}.
-type prepare() :: fun((Stream :: reference()) -> py_request:request()).

%% @doc All items. They come to the calling process's mailbox, and are there once Python has
%% answered: both are from the same handler.
-spec collect(prepare()) -> {ok, [term()]} | {error, py_result:failure()}.
collect(Prepare) ->
    Ref = make_ref(),
    Request = Prepare(Ref),
    ok = py_request:started(),
    ok = py_stream:open(Ref, self()),
    Result = try py_request:perform(any, Request, infinity) after py_stream:close(Ref) end,
    case {Result, items(Ref)} of
        {{ok, _}, Items} -> {ok, Items};
        {{error, Reason}, _} -> {error, Reason}
    end.

-spec items(reference()) -> [term()].
items(Ref) ->
    receive
        {py_stream, Ref, {data, Item}} -> [Item | items(Ref)]
    after 0 ->
        []
    end.

%% @doc Starts sending items to the owner, the caller by default.
-spec start(prepare(), options()) -> {ok, reference()}.
start(Prepare, Options) ->
    Owner = maps:get(owner, Options, self()),
    {Ref, Space} = {make_ref(), py_request:space()},
    Request = Prepare(Ref),
    ok = py_request:started(),
    Starter = self(),
    {Runner, Monitor} = spawn_monitor(fun() -> open(Ref, Request, Space, Owner, Starter) end),
    receive
        {Ref, opened} ->
            true = demonitor(Monitor, [flush]),
            {ok, Ref};
        {'DOWN', Monitor, process, Runner, _Reason} ->
            %% The table has gone with the application.
            error({not_started, erlang_python})
    end.

%% The stream is open before anybody hears of it, so it can be cancelled from the beginning.
-spec open(reference(), py_request:request(), py_conversation:space(), pid(), pid()) -> ok.
open(Ref, Request, Space, Owner, Starter) ->
    ok = py_stream:open(Ref, self()),
    Starter ! {Ref, opened},
    run(Ref, Request, Space, Owner).

%% The items go through this process, so they and the last message keep their order. It ends with
%% the owner, and Python's iteration with it.
-spec run(reference(), py_request:request(), py_conversation:space(), pid()) -> ok.
run(Ref, Request, Space, Owner) ->
    Monitor = monitor(process, Owner),
    Event =
        try
            case py_request:job(any, Request, Space, self()) of
                {ok, Job} -> forward(Ref, Owner, Monitor, py_contexts:send(Job));
                {error, Limit} -> py_result:limit(Limit)
            end
        catch
            %% The application was stopped meanwhile. The owner still waits for an end.
            error:{not_started, _} = NotStarted -> {error, {host_down, NotStarted}}
        end,
    Owner ! {py_stream, Ref, ended(py_stream:close(Ref), Event)},
    ok.

-spec forward(reference(), pid(), reference(), gen_server:request_id()) -> ok | {error, py_result:failure()}.
forward(Ref, Owner, Monitor, Sent) ->
    receive
        {py_stream, Ref, {data, _}} = Item ->
            Owner ! Item,
            forward(Ref, Owner, Monitor, Sent);
        {'DOWN', Monitor, process, Owner, _} ->
            _ = py_stream:close(Ref),
            exit(normal);
        Message ->
            case py_contexts:check(Message, Sent) of
                {outcome, Outcome} -> result(py_result:result(Outcome, py_request:policy()));
                no -> forward(Ref, Owner, Monitor, Sent)
            end
    end.

-spec result(py_result:result()) -> ok | {error, py_result:failure()}.
result({ok, _}) -> ok;
result({error, Reason}) -> {error, Reason}.

%% A stream that was closed already has been cancelled.
-spec ended(boolean(), ok | {error, py_result:failure()}) -> done | {error, py_result:failure() | cancelled}.
ended(false, ok) -> {error, cancelled};
ended(true, ok) -> done;
ended(_, {error, Reason}) -> {error, Reason}.
