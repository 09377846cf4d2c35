%% @doc Streams: whom the items go to that Python sends of one iterable.
%%
%% A stream is open from {@link open/1} until it is closed, by whoever is quicker: the end of Python's iterable, or `py:stream_cancel/1'.
%% Python hears of the latter as the answer to its next item.
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
    true = ets:insert(?MODULE, {Ref, Owner}),
    ok.

%% @doc Python's next item. `cancel': nobody wants any more of them.
-spec item(reference(), term()) -> ok | cancel.
item(Ref, Item) ->
    case ets:lookup(?MODULE, Ref) of
        [{_, Owner}] -> forward(Ref, Owner, Item);
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

%% @doc Ends a stream; no item is forwarded any more. `false': it was closed already.
-spec close(reference()) -> boolean().
close(Ref) ->
    ets:take(?MODULE, Ref) =/= [].
