// Draws the links, and lights up why an entity has its status. Without script, or on paper, what they say stands in the titles
// and in the tables.
(function () {
  var svg = document.getElementById('links'), paths = svg.querySelectorAll('path'), note = svg.parentElement;
  var row = Number(svg.dataset.row), first = new Map();  // a span's first piece, by its key
  note.querySelectorAll('[data-key]').forEach(function (piece) {
    if (!first.has(piece.dataset.key)) { first.set(piece.dataset.key, piece); }
  });
  function draw() {
    var base = svg.getBoundingClientRect();
    function end(piece, box, edge, rise) {  // from a word up, and along above the small labels to `edge`
      var x = box.left + Math.min(box.width / 2, 14) - base.left, y = box.top - base.top;
      var peak = y - row * piece.closest('.line').dataset.rows - 4 - rise;
      var turn = Math.max(-4, Math.min(4, edge - x));
      return ['M', x, y, 'V', peak + 4, 'Q', x, peak, x + turn, peak, 'H', edge].join(' ');
    }
    paths.forEach(function (path) {
      var head = first.get(path.dataset.head), modifier = first.get(path.dataset.modifier);
      if (!head || !modifier) { return; }
      var h = head.getClientRects()[0], m = modifier.getClientRects()[0], below = h.top - m.top;
      var middle = (h.left + m.left) / 2 - base.left, rise = Math.min(16, Math.sqrt(Math.abs(h.left - m.left)) * 0.65);
      var level = Math.abs(below) < 9;  // else out at the right of one line, and in at the left of the other
      path.setAttribute('d',
        end(head, h, level ? middle : below > 0 ? 0 : base.width, level ? rise : 16) + ' ' +
        end(modifier, m, level ? middle : below > 0 ? base.width : 0, level ? rise : 16));
    });
  }
  var panel = document.getElementById('why'), reasons = new Map(), decided = new Map(), lit = [];
  note.querySelectorAll('[data-cues]').forEach(function (piece) {
    piece.dataset.cues.split(' ').forEach(function (cue) {
      decided.set(cue, (decided.get(cue) || []).concat(piece));
    });
  });
  note.querySelectorAll('[data-because]').forEach(function (piece) {
    reasons.set(piece.dataset.key, piece.title);  // the panel shows them, so a browser's own small window need not
    piece.removeAttribute('title');
  });
  function point(target) {
    for (var keys = [], piece = target; piece && piece.dataset; piece = piece.parentElement) { keys.push(piece.dataset.key); }
    paths.forEach(function (path) {
      path.classList.toggle('on', keys.includes(path.dataset.head) || keys.includes(path.dataset.modifier));
    });
    lit.forEach(function (piece) { piece.classList.remove('on'); });
    lit = [];
    if (!panel) { return; }
    var key = keys.find(function (each) { return reasons.has(each); });
    panel.hidden = !key;
    if (!key) { return; }
    var entity = first.get(key);
    panel.textContent = reasons.get(key);
    lit = [entity];
    entity.dataset.because.split(' ').forEach(function (cue) { lit = lit.concat(decided.get(cue) || []); });
    lit.forEach(function (piece) { piece.classList.add('on'); });
  }
  document.addEventListener('mouseover', function (event) { point(event.target); });
  document.addEventListener('focusin', function (event) { point(event.target); });
  document.addEventListener('focusout', function () { point(null); });
  document.addEventListener('keydown', function (event) { if (event.key === 'Escape') { point(null); } });
  document.addEventListener('click', function (event) {
    var link = location.protocol === 'about:' && event.target.closest('a');  // in a notebook's frame a link would leave the frame
    if (!link) { return; }
    event.preventDefault();
    document.getElementById(link.hash.slice(1)).focus();  // which scrolls there
  });
  window.addEventListener('resize', draw);
  draw();
})();
