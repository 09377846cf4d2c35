%% @doc Python's iterables for Erlang: as a list, or item by item as messages.
-module(py_iteration).

-export([collect/1, start/2]).
-export_type([options/0]).

-type options() :: #{owner => pid(), term() => term()}.
%% Its end, should the process die that starts it.
-define(OPENED_WITHIN, 60000).

-type prepare() :: fun((Stream :: reference()) -> py_request:request()).

%% @doc All items. They come to the calling process's mailbox, and are there once Python has answered: both are from the same handler.
-spec collect(prepare()) -> {ok, [term()]} | {error, py_result:failure()}.
collect(Prepare) ->
    Ref = make_ref(),
    Request = Prepare(Ref),
    ok = py_stream:open(Ref, self()),
    Result = py_request:perform(any, Request, infinity),
    _ = py_stream:close(Ref),
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

%% @doc Starts sending items to the owner, who is the caller unless another is named.
-spec start(prepare(), options()) -> {ok, reference()}.
start(Prepare, Options) ->
    Owner = maps:get(owner, Options, self()),
    {Ref, Space} = {make_ref(), py_request:space()},
    Request = Prepare(Ref),
    Runner = spawn(fun() -> receive {Ref, opened} -> run(Ref, Request, Space, Owner) after ?OPENED_WITHIN -> ok end end),
    %% Open before anybody can hear of it, so that it can be cancelled from the beginning.
    ok = py_stream:open(Ref, Runner),
    Runner ! {Ref, opened},
    {ok, Ref}.

%% The items go through this process, whose messages to the owner keep their order, the last one included. It, and what Python does for it,
%% ends with the owner.
-spec run(reference(), py_request:request(), py_conversation:space(), pid()) -> ok.
run(Ref, Request, Space, Owner) ->
    Monitor = monitor(process, Owner),
    Event =
        case py_request:job(any, Request, Space, self()) of
            {ok, Job} -> forward(Ref, Owner, Monitor, py_contexts:send(Job));
            {error, Limit} -> py_result:limit(Limit)
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
