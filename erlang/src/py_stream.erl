%% @doc Streams: the receivers of items from Python's iterables.
%%
%% A stream is open until the first of these: the end of Python's iterable, `py:stream_cancel/1',
%% the end of the owner. Python hears of the last two as the answer to its next item.
%%
%% A process for each stream, its keeper, watches the owner: a killed owner closes nothing itself.
-module(py_stream).

-export([new/0, open/1, open/2, item/2, close/1]).

%% @doc Makes the table; the caller owns it.
-spec new() -> ok.
new() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, set, {read_concurrency, true}, {write_concurrency, true}]),
    ok.

%% @doc A new stream, whose items are sent to `Owner' as `{py_stream, Ref, {data, Item}}'.
-spec open(pid()) -> reference().
open(Owner) ->
    Ref = make_ref(),
    ok = open(Ref, Owner),
    Ref.

%% @doc The same under a reference that the caller has made.
-spec open(reference(), pid()) -> ok.
open(Ref, Owner) ->
    Keeper = spawn(fun() -> keep(Ref, Owner) end),
    true = ets:insert(?MODULE, {Ref, Owner, Keeper}),
    ok.

%% Ends with the stream or with its owner. An owner dead before the monitor is reported at once.
-spec keep(reference(), pid()) -> ok.
keep(Ref, Owner) ->
    Monitor = monitor(process, Owner),
    receive
        {?MODULE, closed} -> ok;
        {'DOWN', Monitor, process, Owner, _} -> _ = close(Ref), ok
    end.

%% @doc Python's next item. `cancel': the stream is closed, so the iteration ends.
-spec item(reference(), term()) -> ok | cancel.
item(Ref, Item) ->
    case ets:lookup(?MODULE, Ref) of
        [{_, Owner, _Keeper}] -> forward(Ref, Owner, Item);
        [] -> cancel
    end.

-spec forward(reference(), pid(), term()) -> ok | cancel.
forward(Ref, Owner, Item) ->
    case node(Owner) =/= node() orelse is_process_alive(Owner) of
        true ->
            Owner ! {py_stream, Ref, {data, Item}},
            ok;
        false ->
            _ = close(Ref),
            cancel
    end.

%% @doc Ends a stream; no item is forwarded any more. `false': it was closed already, perhaps with
%% the application.
-spec close(reference()) -> boolean().
close(Ref) ->
    try ets:take(?MODULE, Ref) of
        [{_, _Owner, Keeper}] -> Keeper ! {?MODULE, closed}, true;
        [] -> false
    catch
        error:badarg -> false
    end.
